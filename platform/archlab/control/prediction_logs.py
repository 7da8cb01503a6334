"""Reads what servers appended to their prediction logs since last time, whatever happened to the files meanwhile.

A position names a file by its inode and by how it begins. So a log that was cut short, replaced, or emptied and filled
again is read from its start, and the rest of one that was renamed to `NAME.1` before it is left.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

PIECE_BYTES = 1 << 20
LONGEST_LINE_BYTES = 8 << 20
_HEAD_BYTES = 512


class Position(NamedTuple):
    """How far a log has been read."""

    inode: int
    offset: int
    head_bytes: int
    """How many of its first bytes `head` covers."""
    head: str
    """SHA-256 of them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines, and the position after them."""

    lines: tuple[bytes, ...]
    position: Position
    more: bool
    """Whether reading on at once may find more."""


def read(path: Path, position: Position | None, limit: int = PIECE_BYTES) -> Piece | None:
    """The next lines of a log; None when there is nothing new. A last line without its end is left for later."""
    if position is not None and (rest := _renamed(path, position)):
        piece = _read(rest, position, limit)
        if piece is not None and piece.lines:
            return Piece(piece.lines, piece.position, more=True)
    return _read(path, position, limit)


def _renamed(path: Path, position: Position) -> Path | None:
    """Where the file of a position is by now, when it isn't at its place any more."""
    if _inode(path) == position.inode:
        return None
    others = path.parent.glob(f"{path.name}.*")
    return next((other for other in others if _inode(other) == position.inode), None)


def _read(path: Path, position: Position | None, limit: int) -> Piece | None:
    try:
        with path.open("rb") as file:
            return _piece(file, position, limit)
    except OSError:
        return None


def _piece(file: BinaryIO, position: Position | None, limit: int) -> Piece | None:
    found = os.fstat(file.fileno())
    start = position.offset if position is not None and _same(file, found, position) else 0
    if found.st_size == start:
        return None
    file.seek(start)
    data = file.read(limit)
    end = data.rfind(b"\n") + 1
    while not end and len(data) < LONGEST_LINE_BYTES and (further := file.read(limit)):
        data += further
        end = data.rfind(b"\n") + 1
    if not end and len(data) < LONGEST_LINE_BYTES:
        return None
    # a line beyond every measure is passed over piece by piece
    end = end or len(data)
    after = start + end
    return Piece(
        tuple(data[:end].splitlines()),
        Position(found.st_ino, after, *_head(file, min(_HEAD_BYTES, after))),
        more=after < found.st_size,
    )


def _same(file: BinaryIO, found: os.stat_result, position: Position) -> bool:
    if found.st_ino != position.inode or found.st_size < position.offset:
        return False
    return _head(file, position.head_bytes)[1] == position.head


def _head(file: BinaryIO, size: int) -> tuple[int, str]:
    file.seek(0)
    return size, hashlib.sha256(file.read(size)).hexdigest()


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
