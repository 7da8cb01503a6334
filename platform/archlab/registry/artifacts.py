"""The files of a version, where the store has them: what each is, without running or unpickling any."""

from __future__ import annotations

import io
import pickle
import pickletools
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

MODEL_FILE = "model.onnx"

MOST_FILES = 200
"""As many files of a version are looked at; one more refuses it."""

HEAD_BYTES = 256 << 10
KINDS = ((b"PK\x03\x04", "zip"), (b"\x7fELF", "elf"), (b"#!", "script"), (b"MZ", "elf"))
"""First bytes that give a kind of file away."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a version."""

    path: str
    """Below the version's own place."""
    kind: str
    """`pickle`, `zip`, `elf`, `script`, `text`, `binary`; `unreadable` for links and what is no plain file."""
    size_bytes: int


def files(where: Path) -> list[StoredFile]:
    """The files of a version, in order of their paths; at most `MOST_FILES` and one more that says so."""
    names = sorted(path for path in where.rglob("*") if not path.is_dir() or path.is_symlink())
    found = [_stored(path, where) for path in islice(names, MOST_FILES)]
    return found if len(names) <= MOST_FILES else [*found, StoredFile("more files than are looked at", "unreadable", 0)]


def _stored(path: Path, where: Path) -> StoredFile:
    name = path.relative_to(where).as_posix()
    if path.is_symlink() or not path.is_file():
        return StoredFile(name, "unreadable", 0)
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return StoredFile(name, kind_of(head, whole=size <= len(head)), size)


def kind_of(head: bytes, *, whole: bool = True) -> str:
    """What a file is, by its first bytes, and whether they are all of it.

    A pickle of protocol 2 and later starts with `0x80` and the protocol; one of protocol 0 or 1 has no mark of its own,
    so whatever pickletools can disassemble up to a STOP counts as one. Nothing is unpickled.
    """
    if found := next((kind for mark, kind in KINDS if head.startswith(mark)), None):
        return found
    if (len(head) > 1 and head[0] == 0x80 and head[1] <= pickle.HIGHEST_PROTOCOL) or _disassembles(head, whole=whole):
        return "pickle"
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        cut = not whole and error.start > len(head) - 4
        text = head[: error.start].decode() if cut else "\0"
    return "binary" if "\0" in text else "text"


def _disassembles(head: bytes, *, whole: bool) -> bool:
    """Whether it is a pickle's program as far as it goes, with the stack that each opcode needs."""
    try:
        pickletools.dis(head, out=io.StringIO())
    except ValueError as error:
        return not whole and "pickle exhausted" in str(error)
    except (IndexError, KeyError, OverflowError):
        return False
    return True


def model_file(where: Path | None) -> Path | None:
    """Path of a version's `model.onnx`; None when there are no files, or not exactly one of that name."""
    found = [path for path in where.rglob(MODEL_FILE) if path.is_file()] if where else []
    return found[0] if len(found) == 1 else None
