"""Digests of files, and the one that binds a version to its sources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

CHUNK_BYTES = 1 << 20


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read piece by piece."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            total.update(piece)
    return total.hexdigest()


def data_digest(sources: Mapping[str, str], reader: str, views: str) -> str:
    """What `archlab.data_digest` is: over the digests of the source files, of their reader, and of the views' code.

    Promotion's evidence carries it, so that the decision log, which is anchored, names the very sources.
    """
    named = {"reader": reader, "sources": dict(sources), "views": views}
    return hashlib.sha256(json.dumps(named, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
