"""Events beside the cached files that they are about: whoever uses the files later, in whichever lab, reports them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from archlab.files import file_sha256, write_atomic
from archlab.lineage.events import Event
from archlab.spec.lineage import LineageArtifact

NAME = "lineage.jsonl"


def keep(path: Path, events: Iterable[Event]) -> None:
    """Write events, one a line."""
    write_atomic(path, "".join(json.dumps(event) + "\n" for event in events))


def kept(path: Path) -> list[Event]:
    """What `keep` wrote there; nothing where there is no such file: the links are then missing, and are named."""
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []


class Files:
    """Digests of files by name, each read once.

    Args:
        root: what names are relative to.
        prefix: put before each name in lineage.
    """

    def __init__(self, root: Path, prefix: str) -> None:
        self._root = root
        self._prefix = prefix
        self._known: dict[tuple[str, int, int], str] = {}

    def artifact(self, name: str) -> LineageArtifact:
        """A file as it is now."""
        path = self._root / name
        found = path.stat()
        key = (name, found.st_mtime_ns, found.st_size)
        if key not in self._known:
            self._known[key] = file_sha256(path)
        return LineageArtifact(name=f"{self._prefix}{name}", sha256=self._known[key])
