"""Base backups of the pair's database, where the second region has no copy of it; outside both regions.

A base backup and the log that was archived since give any moment in between. So many are kept as the posture says; with
the oldest of them goes the part of the log that only it needed.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from archlab.recovery import archive
from archlab.recovery.server import Server
from archlab.settings import LabFolder
from archlab.targets import places

MANIFEST = "backup_manifest"


class Pruned(NamedTuple):
    """What went."""

    backups: tuple[str, ...]
    pieces: int
    """Of the archived log."""


def whole(folder: LabFolder) -> list[Path]:
    """Those that are complete, oldest first; the name ends with the moment in nanoseconds."""
    found = (p for p in places.backups(folder).glob("*") if (p / MANIFEST).exists() and not p.name.startswith("."))
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def is_of(backup: Path, region: str) -> bool:
    """Whether a region's database was primary when it was taken."""
    return backup.name.rpartition("-")[0] == region


def take(folder: LabFolder, primary: Server, keep: int) -> tuple[Path, Pruned]:
    """Take one of a primary that archives its log, and let the oldest go.

    Raises:
        TargetError: it fails; those that are there stay.
    """
    for left in places.backups(folder).glob(".*.part"):
        shutil.rmtree(left, ignore_errors=True)
    made = archive.base_backup(primary, places.backups(folder) / f"{primary.name}-{time.time_ns()}")
    return made, prune(folder, keep)


def forget_all(folder: LabFolder) -> None:
    """Delete all of them, and the archived log: what is archived no longer has a gap from now on.

    A restore over a gap would end before it, without an error, and take writes.
    """
    for path in whole(folder):
        (path / MANIFEST).unlink()
    for left in (places.backups(folder), places.archive(folder)):
        for path in left.glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def prune(folder: LabFolder, keep: int) -> Pruned:
    """Delete all but the newest, and what was archived before the oldest of those.

    Args:
        folder: the lab's.
        keep: how many stay; at least one.
    """
    known = whole(folder)
    kept, doomed = known[-keep:], known[:-keep]
    for path in doomed:
        # first what says that it is whole: a deletion that is killed leaves none that only looks so
        (path / MANIFEST).unlink()
        shutil.rmtree(path)
    pieces = archive.forget_before(places.archive(folder), archive.first_needed(kept[0])) if kept else 0
    return Pruned(tuple(path.name for path in doomed), pieces)
