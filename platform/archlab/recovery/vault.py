"""Encrypted files of any size: pieces of AES-256-GCM in an order that can't be changed, cut or extended.

After the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015): a key per file (HKDF-SHA256 of the lab's key
and a random salt), the piece's number and whether it is the last one as its nonce, the head as associated data.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from archlab.errors import UserError
from archlab.files import write_atomic

MAGIC = b"archlab-vault-1\n"
KEY_BYTES, NAME_BYTES, SALT_BYTES, TAG_BYTES = 32, 8, 16, 16
PIECE = 1 << 20


class DamagedError(UserError):
    """What is stored is not what was stored, or can't be opened; the message says what was found."""


def key_in(path: Path) -> bytes:
    """The key of a file; drawn when there is none. Of several that draw at once all get the same.

    Raises:
        DamagedError: it is no key.
    """
    if not path.exists():
        _draw(path)
    with suppress(ValueError, OSError):
        key = bytes.fromhex(path.read_text().strip())
        if len(key) == KEY_BYTES:
            return key
    raise DamagedError(f"{path} is no key.", "Put back the one with which the backups were made.")


def _draw(path: Path) -> None:
    """Whoever is first has drawn it: a second key in its place would open nothing of what the first one sealed."""
    drawn = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_atomic(drawn, secrets.token_hex(KEY_BYTES) + "\n")
    try:
        with suppress(FileExistsError):
            os.link(drawn, path)
    finally:
        drawn.unlink()


def fingerprint(key: bytes) -> str:
    """What a key is called: sixteen hexadecimal digits that say nothing else of it."""
    return hashlib.sha256(MAGIC + key).hexdigest()[: 2 * NAME_BYTES]


class Sealer:
    """A file to write to; what is written is encrypted. Complete only after `close`."""

    def __init__(self, sink: BinaryIO, key: bytes) -> None:
        self._sink = sink
        salt = secrets.token_bytes(SALT_BYTES)
        self._head = MAGIC + bytes.fromhex(fingerprint(key)) + salt
        self._cipher = _cipher(key, salt)
        self._waiting = bytearray()
        self._number = 0
        sink.write(self._head)

    def write(self, data: bytes) -> int:
        """Encrypt more."""
        self._waiting += data
        while len(self._waiting) > PIECE:
            self._put(bytes(self._waiting[:PIECE]), last=False)
            del self._waiting[:PIECE]
        return len(data)

    def close(self) -> None:
        """Encrypt the last piece."""
        self._put(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _put(self, piece: bytes, *, last: bool) -> None:
        self._sink.write(self._cipher.encrypt(_nonce(self._number, last=last), piece, self._head))
        self._number += 1


class Opened:
    """A file to read from, of what a `Sealer` wrote."""

    def __init__(self, source: BinaryIO, key: bytes) -> None:
        self._pieces = _pieces(source, key)
        self._waiting = BytesIO()

    def read(self, size: int = -1) -> bytes:
        """As much as that, less at the end.

        Raises:
            DamagedError: it was changed or cut off, or is for another key.
        """
        found = self._waiting.read(size)
        while size < 0 or len(found) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._waiting = BytesIO(piece)
            found += self._waiting.read(size - len(found) if size >= 0 else -1)
        return found


def _pieces(source: BinaryIO, key: bytes) -> Iterator[bytes]:
    head = source.read(len(MAGIC) + NAME_BYTES + SALT_BYTES)
    if not head.startswith(MAGIC) or len(head) < len(MAGIC) + NAME_BYTES + SALT_BYTES:
        raise DamagedError("It does not begin like a backup.")
    named = head[len(MAGIC) : len(MAGIC) + NAME_BYTES].hex()
    if named != fingerprint(key):
        raise DamagedError(f"It was made with key {named}; this is key {fingerprint(key)}.")
    cipher, number = _cipher(key, head[-SALT_BYTES:]), 0
    piece = source.read(PIECE + TAG_BYTES)
    while True:
        following = source.read(PIECE + TAG_BYTES)
        try:
            yield cipher.decrypt(_nonce(number, last=not following), piece, head)
        except InvalidTag:
            raise DamagedError(f"Its piece {number + 1} was changed, or what comes after it is cut off.") from None
        if not following:
            return
        piece, number = following, number + 1


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, b"archlab/vault/v1").derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
