"""The lab's gradebook key (Ed25519, RFC 8032): made at first use, kept beside the lab's other keys."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from archlab.errors import SpecError

RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class SigningKey:
    """A private key in a PEM file of mode 0600."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes(*RAW).hex()
        """The public half: 32 bytes in hexadecimal."""

    @classmethod
    def create(cls) -> SigningKey:
        """A new key, in memory only."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def of_file(cls, path: Path) -> SigningKey:
        """The key of a file; made when there is none. Two processes that make it at once end with the same one.

        Raises:
            SpecError: the file holds no Ed25519 key.
        """
        if not path.exists():
            _create(path)
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), None)
        except ValueError:
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise SpecError(
                f"{path} holds no Ed25519 key.", "Put the gradebook's key back; without it nothing is signed."
            )
        return cls(private)

    def sign(self, digest: str) -> str:
        """The signature over a digest (hexadecimal), in hexadecimal."""
        return self._private.sign(bytes.fromhex(digest)).hex()


def verifies(public: str, signature: str, digest: str) -> bool:
    """Whether a signature over a digest is by that key."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
            bytes.fromhex(signature), bytes.fromhex(digest)
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public: str) -> str:
    """A key as people compare it: 16 digits in groups of four."""
    return " ".join(public[i : i + 4] for i in range(0, 16, 4))


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        path.hardlink_to(part)
    part.unlink()
