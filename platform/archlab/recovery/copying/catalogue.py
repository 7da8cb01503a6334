"""What lies in a region's folder of files, by part: paths, digests, when each was written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

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
    gone: tuple[Entry, ...] = ()
    """Of a region that took over: what the other one had by then, and what has been deleted since."""

    @cached_property
    def digest(self) -> str:
        """Over paths and digests."""
        named = [(entry.path, entry.sha256) for entry in self.entries]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()

    @cached_property
    def by_path(self) -> dict[str, Entry]:
        """The same by path."""
        return {entry.path: entry for entry in self.entries}


class Stamp(NamedTuple):
    """What of a file changes when its content does."""

    written_ns: int
    size_bytes: int
    inode: int
    written: float
    """Seconds since 1970, as coarse as they are told."""


class Catalogue:
    """Lists a region's files. A file is read again when its length or its time changes; when none did, nothing is done.

    Args:
        root: the region's files.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[str, tuple[Stamp, Entry]] = {}
        self._last: dict[Part, tuple[dict[str, Stamp], Listing]] = {}

    def listing(self, part: Part) -> Listing:
        """A part's files as they are; the same object as long as they are the same."""
        stamps = dict(stamped for tree in TREES[part] for stamped in _stamped(self.root, tree))
        before, listing = self._last.get(part, (None, Listing()))
        if stamps != before:
            gone = before.keys() - stamps.keys() if before else ()
            for name in gone:
                self._known.pop(name, None)
            listing = Listing(entries=tuple(self._entries(stamps)))
            self._last[part] = stamps, listing
        return listing

    def _entries(self, stamps: Mapping[str, Stamp]) -> Iterator[Entry]:
        for name, stamp in sorted(stamps.items()):
            with suppress(FileNotFoundError):
                yield self._entry(name, stamp)

    def _entry(self, name: str, stamp: Stamp) -> Entry:
        known = self._known.get(name)
        if known is None or known[0] != stamp:
            content = (self.root / name).read_bytes()
            made = Entry(
                path=name,
                size_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                written=stamp.written,
                records=content.count(b"\n") if name.endswith(LOG) else 0,
            )
            known = self._known[name] = (stamp, made)
        return known[1]


def _stamped(root: Path, tree: str) -> Iterator[tuple[str, Stamp]]:
    """Files below a folder, by their paths below the root. Looked at several times a second: no objects for nothing."""
    folders = [tree]
    while folders:
        folder = folders.pop()
        with suppress(FileNotFoundError), os.scandir(root / folder) as found:
            for file in found:
                if file.is_dir(follow_symlinks=False):
                    folders.append(f"{folder}/{file.name}")
                # what starts with a dot is being written
                elif file.is_file(follow_symlinks=False) and not file.name.startswith("."):
                    with suppress(FileNotFoundError):
                        status = file.stat(follow_symlinks=False)
                        stamp = Stamp(status.st_mtime_ns, status.st_size, status.st_ino, status.st_mtime)
                        yield f"{folder}/{file.name}", stamp


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
