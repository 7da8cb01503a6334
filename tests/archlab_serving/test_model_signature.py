"""What counts as a model's signature, and every way in which something else doesn't."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.archlab_serving.signatures import public_pem, signed_model

from archlab_serving.model_signature import MAX_BYTES, SignatureError, check_model, fingerprint, read_keys, verify

KEY, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
KEYS = {fingerprint(KEY.public_key()): KEY.public_key()}
FILES = {"MLmodel": "aa" * 32, "model.onnx": "bb" * 32}
GOOD = signed_model(FILES, KEY)


def state(bundle: bytes | str) -> str:
    with pytest.raises(SignatureError) as caught:
        check_model(bundle, "bb" * 32, KEYS)
    assert caught.value.message
    return caught.value.state


def test_a_trusted_signature_names_its_key_and_files() -> None:
    signed = check_model(GOOD, "bb" * 32, KEYS)
    assert signed.files == FILES
    assert signed.key == fingerprint(KEY.public_key())
    assert verify(GOOD.encode(), KEYS) == signed


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_larger_curves_count_too(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    from cryptography.hazmat.primitives import hashes

    key = ec.generate_private_key(curve)
    document = json.loads(signed_model(FILES, key))
    payload = base64.b64decode(document["dsseEnvelope"]["payload"])
    encoded = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
    made = key.sign(encoded, ec.ECDSA(hashes.SHA384() if curve.key_size == 384 else hashes.SHA512()))
    document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(made).decode()
    (tmp_path / "trusted.pem").write_bytes(public_pem(key))
    assert check_model(json.dumps(document), "bb" * 32, read_keys(tmp_path / "trusted.pem")).files == FILES


def changed(change: Callable[[Any], object]) -> str:
    document = json.loads(GOOD)
    change(document)
    return json.dumps(document)


def other_payload(document: Any) -> None:
    """The files of somebody else under the old signature."""
    forged = json.loads(signed_model({**FILES, "model.onnx": "cc" * 32}, OTHER))
    document["dsseEnvelope"]["payload"] = forged["dsseEnvelope"]["payload"]


def borrowed_name(document: Any) -> None:
    """Another's signature under the trusted key's name."""
    forged = json.loads(signed_model(FILES, OTHER))
    document["dsseEnvelope"] = forged["dsseEnvelope"]


@pytest.mark.parametrize(
    ("bundle", "expected"),
    [
        ("", "absent"),
        (b"", "absent"),
        ("null", "unreadable"),
        ("[]", "unreadable"),
        ("{", "unreadable"),
        ("{}", "unreadable"),
        ("x" * (MAX_BYTES + 1), "unreadable"),
        (changed(lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1")), "unreadable"),
        (changed(lambda d: d["dsseEnvelope"].update(payloadType="text/plain")), "unreadable"),
        (changed(lambda d: d["dsseEnvelope"].update(signatures=[])), "unreadable"),
        (changed(lambda d: d["dsseEnvelope"]["signatures"].append({"sig": "AAAA"})), "unreadable"),
        (changed(lambda d: d["dsseEnvelope"]["signatures"][0].update(sig="no base64")), "unreadable"),
        (changed(lambda d: d["verificationMaterial"].update(publicKey={})), "unreadable"),
        (changed(lambda d: d["verificationMaterial"]["publicKey"].update(hint=None)), "unreadable"),
        (changed(lambda d: d["verificationMaterial"]["publicKey"].update(hint="")), "unknown_key"),
        (signed_model(FILES, OTHER), "unknown_key"),
        (changed(lambda d: d["dsseEnvelope"]["signatures"][0].update(sig="AAAA")), "invalid"),
        (changed(other_payload), "invalid"),
        (changed(borrowed_name), "invalid"),
        (signed_model({"model.onnx": "cc" * 32}, KEY), "differs"),
        (signed_model({"other.onnx": "bb" * 32}, KEY), "differs"),
        (signed_model(FILES, KEY, predicateType="https://slsa.dev/provenance/v1"), "unreadable"),
        (signed_model(FILES, KEY, _type="https://in-toto.io/Statement/v0.1"), "unreadable"),
        (signed_model(FILES, KEY, subject=[{"name": "m", "digest": {"sha256": "0" * 64}}]), "unreadable"),
        (signed_model(FILES, KEY, subject=[]), "unreadable"),
        (signed_model(FILES, KEY, predicate={}), "unreadable"),
    ],
)
def test_anything_else_is_none(bundle: bytes | str, expected: str) -> None:
    assert state(bundle) == expected


@pytest.mark.parametrize("algorithm", ["sha256-sharded", "blake2b", "md5"])
def test_other_digests_than_sha256_prove_nothing(algorithm: str) -> None:
    resource = {"name": "model.onnx", "algorithm": algorithm, "digest": "bb" * 32}
    predicate = {"serialization": {"method": "files"}, "resources": [resource]}
    digest = hashlib.sha256(bytes.fromhex("bb" * 32)).hexdigest()
    subject = [{"name": "m", "digest": {"sha256": digest}}]
    assert state(signed_model(FILES, KEY, predicate=predicate, subject=subject)) == "unreadable"


@given(st.data())
def test_one_changed_byte_never_counts(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 1))
    spoilt = GOOD[:at] + data.draw(st.characters(codec="ascii").filter(lambda c: c != GOOD[at])) + GOOD[at + 1 :]
    try:
        found = check_model(spoilt, "bb" * 32, KEYS)
    except SignatureError:
        return
    assert found.files == FILES  # what changed was none of the signature's business


def test_keys_lie_one_after_another(tmp_path: Path) -> None:
    path = tmp_path / "trusted.pem"
    path.write_bytes(b"# ours\n" + public_pem(KEY) + b"\n" + public_pem(OTHER))
    assert read_keys(path).keys() == {fingerprint(key.public_key()) for key in (KEY, OTHER)}


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_without_keys_nobody_is_trusted(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "trusted.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SignatureError) as caught:
        read_keys(path)
    assert caught.value.state == "unknown_key"


def test_another_kind_of_key_is_no_key(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    (tmp_path / "trusted.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(SignatureError, match="P-256"):
        read_keys(tmp_path / "trusted.pem")
