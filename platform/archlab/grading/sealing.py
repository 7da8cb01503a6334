"""Boxes that a key or a code opens, after the construction of age (age-encryption.org/v1), from `cryptography`'s parts.

A random 32-byte key encrypts the content (ChaCha20-Poly1305, RFC 8439). Each stanza wraps that key: for an X25519 key
by the shared secret with an ephemeral one through HKDF-SHA256 (RFC 7748, 5869); for a code through HKDF-SHA256 alone,
which is enough because codes are drawn with 80 random bits and never chosen by people. The stanzas are the content's
associated data, so that none can be swapped or dropped.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from archlab.errors import UserError
from archlab.grading.canonical import canonical
from archlab.spec.pack import Sealed, Stanza

CODE_BITS = 80
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U to misread."""
_Wrapping = Callable[[Stanza], bytes]
_ONCE = bytes(12)
"""The nonce of a wrapping key, which encrypts once and is never used again."""


class ClosedError(UserError):
    """A box that this key or code does not open."""


def new_code() -> str:
    """A code to read out: four groups of four letters and digits."""
    drawn = "".join(secrets.choice(_ALPHABET) for _ in range(CODE_BITS // 5))
    return "-".join(drawn[i : i + 4] for i in range(0, len(drawn), 4))


def tidy(code: str) -> str:
    """A code as typed: case, blanks, dashes and look-alikes don't matter."""
    kept = "".join(c for c in code.upper() if c.isalnum())
    return kept.translate(str.maketrans("ILO", "110"))


def code_digest(seat: str, action: str, code: str) -> str:
    """What a pack keeps of a control code."""
    return hashlib.sha256(f"archlab/control/v1\0{seat}\0{action}\0{tidy(code)}".encode()).hexdigest()


def seal(content: bytes, recipient: str, code: str | None = None) -> Sealed:
    """A box for an X25519 public key (hexadecimal) and, if given, for a code."""
    key, nonce = secrets.token_bytes(32), secrets.token_bytes(12)
    stanzas = (_to_key(key, recipient), *((_to_code(key, code),) if code else ()))
    ciphertext = ChaCha20Poly1305(key).encrypt(nonce, content, _bound(stanzas))
    return Sealed(stanzas=stanzas, nonce=nonce.hex(), ciphertext=ciphertext.hex())


def open_with_key(box: Sealed, private: str) -> bytes:
    """The content, by the X25519 private key (hexadecimal).

    Raises:
        ClosedError: it is another's, or the box was changed.
    """
    own = X25519PrivateKey.from_private_bytes(bytes.fromhex(private))
    public = own.public_key().public_bytes_raw()

    def wrapping(stanza: Stanza) -> bytes:
        salt = bytes.fromhex(stanza.salt)
        return _derive(own.exchange(X25519PublicKey.from_public_bytes(salt)), salt + public, "x25519")

    return _open(box, "x25519", wrapping, "This key does not open it.")


def open_with_code(box: Sealed, code: str) -> bytes:
    """The content, by its code.

    Raises:
        ClosedError: it is another's, or the box was changed.
    """
    return _open(
        box, "code", lambda s: _derive(tidy(code).encode(), bytes.fromhex(s.salt), "code"), "The code does not open it."
    )


def _open(box: Sealed, kind: str, wrapping: _Wrapping, message: str) -> bytes:
    for stanza in box.stanzas:
        if stanza.kind != kind:
            continue
        try:
            key = ChaCha20Poly1305(wrapping(stanza)).decrypt(_ONCE, bytes.fromhex(stanza.wrapped), None)
            nonce, ciphertext = bytes.fromhex(box.nonce), bytes.fromhex(box.ciphertext)
            return ChaCha20Poly1305(key).decrypt(nonce, ciphertext, _bound(box.stanzas))
        except (InvalidTag, ValueError):
            continue
    raise ClosedError(message)


def _to_key(key: bytes, recipient: str) -> Stanza:
    ephemeral, public = X25519PrivateKey.generate(), bytes.fromhex(recipient)
    salt = ephemeral.public_key().public_bytes_raw()
    wrapping = _derive(ephemeral.exchange(X25519PublicKey.from_public_bytes(public)), salt + public, "x25519")
    return Stanza(kind="x25519", salt=salt.hex(), wrapped=ChaCha20Poly1305(wrapping).encrypt(_ONCE, key, None).hex())


def _to_code(key: bytes, code: str) -> Stanza:
    salt = secrets.token_bytes(16)
    wrapping = _derive(tidy(code).encode(), salt, "code")
    return Stanza(kind="code", salt=salt.hex(), wrapped=ChaCha20Poly1305(wrapping).encrypt(_ONCE, key, None).hex())


def _derive(secret: bytes, salt: bytes, kind: str) -> bytes:
    return HKDF(SHA256(), 32, salt, f"archlab/sealed/v1 {kind}".encode()).derive(secret)


def _bound(stanzas: tuple[Stanza, ...]) -> bytes:
    return canonical([s.model_dump(mode="json") for s in stanzas])
