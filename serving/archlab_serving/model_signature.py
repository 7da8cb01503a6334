"""Signatures of models as OpenSSF Model Signing writes them: `model.sig`, a Sigstore bundle with an in-toto statement.

The bundle (media type v0.3) has a DSSE envelope whose payload lists the SHA-256 of every file of a model, signed with
an elliptic curve key of which the bundle names the fingerprint. Only this form counts: one key, no certificate, none of
the formats from before 1.0. The `model-signing` package makes them; to read them `cryptography` is enough.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

MODEL_FILE = "model.onnx"
MAX_BYTES = 256 << 10
"""Of a bundle; one names a model's handful of files."""
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
MOST_KEYS = 32

_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\s*", re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HASHES: Mapping[int, hashes.HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
"""By the size of the curve, as Sigstore's specification pairs them."""

Keys = Mapping[str, EllipticCurvePublicKey]
"""Trusted keys by fingerprint: SHA-256 of the public key's PEM."""


class SignatureError(ValueError):
    """A signature that proves nothing.

    Args:
        state: `absent`, `unreadable`, `unknown_key`, `invalid` or `differs`.
        message: what was found.
        key: fingerprint that the bundle names; empty when it names none.
    """

    def __init__(self, state: str, message: str, key: str = "") -> None:
        super().__init__(message)
        self.state = state
        self.message = message
        self.key = key


@dataclass(frozen=True, slots=True)
class Signed:
    """What a trusted key signed."""

    key: str
    """Its fingerprint."""
    files: Mapping[str, str]
    """SHA-256 by path below the model's folder."""


def read_keys(path: Path) -> Keys:
    """The keys of a PEM file, one after another.

    Raises:
        SignatureError: there is none, so nobody can be trusted; or one that is no elliptic curve key.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SignatureError("unknown_key", f"{path}: {error.strerror or error}") from error
    keys: dict[str, EllipticCurvePublicKey] = {}
    for pem in _PEM.findall(content)[:MOST_KEYS]:
        try:
            key = load_pem_public_key(pem)
        except ValueError as error:
            raise SignatureError("unknown_key", f"{path}: {error}") from error
        if not isinstance(key, EllipticCurvePublicKey) or key.key_size not in _HASHES:
            raise SignatureError("unknown_key", f"{path}: not a key on the curve P-256, P-384 or P-521")
        keys[fingerprint(key)] = key
    if not keys:
        raise SignatureError("unknown_key", f"{path} has no public key")
    return keys


def fingerprint(key: EllipticCurvePublicKey) -> str:
    """As bundles name it: SHA-256 of the key's PEM, hexadecimal."""
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def verify(bundle: bytes | str, keys: Keys) -> Signed:
    """What the bundle proves; whether files are those is for the caller to compare.

    Raises:
        SignatureError: it is none, by an unknown key, or was changed.
    """
    if not bundle:
        raise SignatureError("absent", "the model is not signed")
    if len(bundle) > MAX_BYTES:
        raise SignatureError("unreadable", f"the signature has {len(bundle)} bytes; {MAX_BYTES} are allowed")
    try:
        name, payload, signature = _parts(orjson.loads(bundle))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SignatureError("unreadable", f"not a signature of a model: {type(error).__name__}: {error}") from error
    key = keys.get(name)
    if key is None:
        raise SignatureError("unknown_key", f"signed with key {name[:12]}, which is not trusted here", name)
    try:
        key.verify(signature, _encoded(payload), ECDSA(_HASHES[key.key_size]))
    except InvalidSignature:
        raise SignatureError("invalid", f"key {name[:12]} did not sign this", name) from None
    try:
        return Signed(name, _files(orjson.loads(payload)))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SignatureError("unreadable", f"not a model's statement: {type(error).__name__}: {error}", name) from error


def check_model(bundle: bytes | str, sha256: str, keys: Keys) -> Signed:
    """Checks that a trusted key signed a model whose `model.onnx` has this digest.

    Raises:
        SignatureError: none did.
    """
    signed = verify(bundle, keys)
    found = signed.files.get(MODEL_FILE)
    if found != sha256:
        named = f"{found[:12]}…" if found else "no model.onnx"
        raise SignatureError("differs", f"the signature is about {named}, not about {sha256[:12]}…", signed.key)
    return signed


def _parts(document: Any) -> tuple[str, bytes, bytes]:
    """Fingerprint, payload and signature of a bundle."""
    if document["mediaType"] != BUNDLE:
        raise ValueError(f"media type {document['mediaType']!r}")
    envelope = document["dsseEnvelope"]
    if envelope["payloadType"] != PAYLOAD:
        raise ValueError(f"payload type {envelope['payloadType']!r}")
    if len(envelope["signatures"]) != 1:
        raise ValueError("one signature is needed")
    name = document["verificationMaterial"]["publicKey"]["hint"]
    if not isinstance(name, str):
        raise TypeError("the key has no name")
    return name, _decoded(envelope["payload"]), _decoded(envelope["signatures"][0]["sig"])


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error


def _encoded(payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def _files(statement: Any) -> dict[str, str]:
    """The files of a statement, once their digests are those that its subject sums up."""
    if (statement["_type"], statement["predicateType"]) != (STATEMENT, PREDICATE):
        raise ValueError(f"statement {statement['_type']!r}, predicate {statement['predicateType']!r}")
    predicate, (subject,) = statement["predicate"], statement["subject"]
    method = predicate["serialization"]["method"]
    if method != "files":
        raise ValueError(f"files are needed, not {method!r}")
    files: dict[str, str] = {}
    total = hashlib.sha256()
    for resource in predicate["resources"]:
        name, digest = resource["name"], resource["digest"]
        if resource["algorithm"] != "sha256" or not _SHA256.fullmatch(digest):
            raise ValueError(f"the digest of {name!r} is no SHA-256")
        if name in files:
            raise ValueError(f"{name!r} is there twice")
        files[name] = digest
        total.update(bytes.fromhex(digest))
    if total.hexdigest() != subject["digest"]["sha256"]:
        raise ValueError("the subject's digest is not that of the files")
    return files
