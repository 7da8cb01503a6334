"""What lies in a region's folder of files, by part: paths, digests, when each was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from archlab.errors import UserError
from archlab.spec.base import Spec
from archlab.spec.regions import Part

REGISTRY, RELEASES, SNAPSHOTS = "registry", "releases", "snapshots"
LEDGER, POLICY = "ledger", "policy"
TREES: Mapping[Part, tuple[str, ...]] = {
    Part.ARTIFACTS: (f"{REGISTRY}/artifacts", f"{RELEASES}/blobs"),
    Part.FEATURES: (f"{SNAPSHOTS}/blobs",),
    Part.LEDGER: (LEDGER,),
    Part.POLICY: (POLICY,),
}
"""Folders of each part below a region's files. Feed and manifest are orders, and no part's."""
LOG = ".jsonl"
"""What only grows, a record a line."""


class Entry(Spec):
    """One file."""

    path: str
    """Below the region's files."""
    size_bytes: int
    sha256: str
    written: float
    """Seconds since 1970."""
    records: int = 0


class Listing(Spec):
    """A part's files, in order of their paths."""

    entries: tuple[Entry, ...] = ()

    @property
    def digest(self) -> str:
        """Over paths and digests."""
        named = [(entry.path, entry.sha256) for entry in self.entries]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()

    @property
    def by_path(self) -> dict[str, Entry]:
        """The same by path."""
        return {entry.path: entry for entry in self.entries}


class Catalogue:
    """Lists a region's files. A file is read again when its length or its time changes.

    Args:
        root: the region's files.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[str, tuple[tuple[int, int, int], Entry]] = {}

    def listing(self, part: Part) -> Listing:
        """A part's files as they are."""
        found = (entry for tree in TREES[part] for entry in self._below(tree))
        return Listing(entries=tuple(sorted(found, key=lambda entry: entry.path)))

    def _below(self, tree: str) -> Iterator[Entry]:
        for path in (self.root / tree).rglob("*"):
            # what starts with a dot is being written
            if not path.name.startswith("."):
                with suppress(FileNotFoundError):
                    if path.is_file() and not path.is_symlink():
                        yield self._entry(path)

    def _entry(self, path: Path) -> Entry:
        name, status = path.relative_to(self.root).as_posix(), path.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        known = self._known.get(name)
        if known is None or known[0] != stamp:
            content = path.read_bytes()
            made = Entry(
                path=name,
                size_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                written=status.st_mtime,
                records=content.count(b"\n") if path.suffix == LOG else 0,
            )
            known = self._known[name] = (stamp, made)
        return known[1]


def below(root: Path, name: str) -> Path:
    """A file of a part, by its path below a region's files.

    Raises:
        UserError: it is no such path.
    """
    path = PurePosixPath(name)
    trees = [PurePosixPath(tree) for part in TREES.values() for tree in part]
    if ".." in path.parts or not any(path.is_relative_to(tree) and path != tree for tree in trees):
        raise UserError(f"{name!r} is no file of a region's parts.")
    return root / path
