"""Base backups of the pair's database, where the second region has no copy of it; outside both regions, encrypted.

A base backup and the log that was archived since give any moment in between. So many are kept as the posture says; with
the oldest of them goes the part of the log that only it needed.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from archlab.errors import NotFoundError
from archlab.recovery import archive
from archlab.recovery.backups import Store
from archlab.recovery.server import Server
from archlab.recovery.vault import DamagedError
from archlab.settings import LabFolder
from archlab.spec.backup import Backup
from archlab.targets import places

PART = "database"
TAKEN, OPENED = "taken", "opened"
"""Folders in which a backup lies as it is, while it is taken and while it is restored."""


class Pruned(NamedTuple):
    """What went."""

    backups: tuple[str, ...]
    pieces: int
    """Of the archived log."""


def store(folder: LabFolder) -> Store:
    """Where they lie. Files of parts without a second copy are archived with the same key."""
    return Store(places.backups(folder), places.key(folder))


def is_of(backup: Backup, region: str) -> bool:
    """Whether a region's database was primary when it was taken."""
    return backup.of == region


def take(folder: LabFolder, primary: Server, keep: int) -> tuple[Backup, Pruned]:
    """Take one of a primary that archives its log, and let the oldest go.

    Raises:
        TargetError: it fails; those that are there stay.
    """
    _forget_opened(folder)
    tree, began = places.backups(folder) / TAKEN, datetime.now(UTC)
    try:
        archive.base_backup(primary, tree)
        made = store(folder).take(tree, primary.name, (PART,), {}, began, archive.first_needed(tree))
    finally:
        _forget_opened(folder)
    return made, prune(folder, keep)


def restore(folder: LabFolder, server: Server, env: Mapping[str, str]) -> Backup:
    """Make a region's database what the newest backup that opens and the log since then give; which it was.

    An older one gives the same: the log is kept as far back as the oldest needs it.

    Args:
        folder: the lab's.
        server: the region's; it stands still.
        env: of its processes.

    Raises:
        NotFoundError: there is none, or none of them opens; says what was found.
        TargetError: the archived log does not fit it.
    """
    kept, said = store(folder), ""
    for backup in reversed(kept.all()):
        _forget_opened(folder)
        try:
            kept.open(backup, places.backups(folder) / OPENED)
        except DamagedError as error:
            said = said or f" {error.message}"
            continue
        try:
            archive.restore(server, places.backups(folder) / OPENED, places.archive(folder), None, env)
        finally:
            _forget_opened(folder)
        return backup
    raise NotFoundError(f"There is no backup of the database that can be restored.{said}")


def forget_all(folder: LabFolder) -> None:
    """Delete all of them, and the archived log: what is archived no longer has a gap from now on.

    A restore over a gap would end before it, without an error, and take writes.
    """
    for left in (places.backups(folder), places.archive(folder)):
        for path in left.glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def prune(folder: LabFolder, keep: int) -> Pruned:
    """Delete all but the newest, and what was archived before the oldest of those.

    Args:
        folder: the lab's.
        keep: how many stay; at least one.
    """
    kept = store(folder)
    doomed = kept.prune(keep)
    known = kept.all()
    return Pruned(doomed, archive.forget_before(places.archive(folder), known[0].needs) if known else 0)


def _forget_opened(folder: LabFolder) -> None:
    """What lies there as it is, a killed command's too."""
    for path in places.backups(folder).glob("*"):
        if path.is_dir():
            shutil.rmtree(path)
