"""Small files that must never be seen half-written, and digests of files of any size."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pydantic import BaseModel


def write_atomic(path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Write beside the file, sync, rename: a reader sees the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    data = content.encode() if isinstance(content, str) else content
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def write_model(path: Path, value: BaseModel) -> None:
    """A spec as readable JSON."""
    write_atomic(path, value.model_dump_json(indent=2) + "\n")


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
