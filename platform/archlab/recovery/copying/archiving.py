"""A part whose posture is backup-only: encrypted archives outside both regions, restored when a region takes over."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from archlab.recovery.backups import Store
from archlab.recovery.copying.catalogue import Catalogue, Listing
from archlab.recovery.vault import DamagedError
from archlab.spec.regions import Part, PartCopy


class Archive:
    """Archives of a part.

    Args:
        folder: where they lie, a folder for each part.
        key: file of the key.
        part: which.
    """

    def __init__(self, folder: Path, key: Path, part: Part) -> None:
        self._store = Store(folder / part.value, key)
        self._part = part
        self._last = ""

    def take(self, region: str, catalogue: Catalogue, keep: int) -> int:
        """Archive what lies in a region, unless the last one holds just that; how many bytes that took."""
        listing = catalogue.listing(self._part)
        if listing.digest == self._last or not listing.entries:
            return 0
        began, tree = datetime.now(UTC), self._store.folder / ".tree"
        shutil.rmtree(tree, ignore_errors=True)
        try:
            _link(listing, catalogue.root, tree)
            made = self._store.take(tree, region, (self._part.value,), {}, began)
        finally:
            shutil.rmtree(tree, ignore_errors=True)
        self._store.prune(keep)
        self._last = listing.digest
        return made.stored_bytes

    def standing(self, before: PartCopy) -> PartCopy:
        """What is kept."""
        kept = self._store.all()
        return before.model_copy(
            update={
                "files": kept[-1].files if kept else 0,
                "size_bytes": sum(backup.stored_bytes for backup in kept),
                "complete_at": kept[-1].taken if kept else None,
            }
        )

    def restore(self, root: Path) -> str:
        """Put the newest archive that opens into a region's files, beside what is there; says what came of it."""
        said = []
        for backup in reversed(self._store.all()):
            place = root / f".restored-{self._part.value}"
            shutil.rmtree(place, ignore_errors=True)
            try:
                self._store.open(backup, place)
            except DamagedError as error:
                said.append(error.message)
                continue
            came = _merge(place, root)
            shutil.rmtree(place, ignore_errors=True)
            said.append(f"{came} files of {self._part.value}, archived at {backup.taken:%H:%M:%S}")
            return "; ".join(said)
        return "; ".join((*said, f"no archive of {self._part.value}"))


def _link(listing: Listing, root: Path, tree: Path) -> None:
    """A tree that nobody changes: what lies in a region is replaced, and logs only grow."""
    for entry in listing.entries:
        place = tree / entry.path
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if entry.records:
            place.write_bytes((root / entry.path).read_bytes()[: entry.size_bytes])
        else:
            os.link(root / entry.path, place)


def _merge(restored: Path, root: Path) -> int:
    came = 0
    for path in sorted(p for p in restored.rglob("*") if p.is_file()):
        place = root / path.relative_to(restored)
        if not place.exists() or place.stat().st_size < path.stat().st_size:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.replace(place)
            came += 1
    return came
