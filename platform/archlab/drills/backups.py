"""Backups of a drill's primary database."""

from __future__ import annotations

from archlab.drills.keeping import Kept, Verified
from archlab.drills.testbed import Testbed
from archlab.spec.backup import Backup


def of(testbed: Testbed) -> Kept:
    """What is kept of whoever is primary now."""
    return testbed.regions[testbed.primary].kept


def take(testbed: Testbed) -> Backup:
    """Back the primary's database up: a base backup, checked against its manifest, encrypted."""
    return of(testbed).take()


def prune(testbed: Testbed) -> tuple[str, ...]:
    """Let the oldest go, as many stay as the posture says, and with them the part of the log that only they needed."""
    return of(testbed).prune(testbed.posture.backups_kept)


def verify(testbed: Testbed) -> tuple[Verified, ...]:
    """Restore every backup into a server of its own and compare; oldest first."""
    return of(testbed).verify()
