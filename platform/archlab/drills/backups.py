"""Backups of a drill's primary database: taken, verified in a server of their own, opened for a restore."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from archlab.drills.testbed import Testbed
from archlab.recovery import archive, server
from archlab.recovery.server import Server
from archlab.recovery.vault import DamagedError
from archlab.spec.backup import Backup, BackupContent
from archlab.targets import ports

ROWS, DIGEST, BEFORE = "rows", "digest", "before"
SETTLED_S = 2
"""Rows that are younger may not be committed yet when they are counted."""


class Verified(NamedTuple):
    """What became of a backup that was tried."""

    backup: Backup
    alert: str
    """Why it can't be restored; empty when it can."""


def take(testbed: Testbed) -> Backup:
    """Back the primary's database up: a base backup, checked against its manifest, encrypted."""
    source, began = testbed.regions[testbed.primary].server, datetime.now(UTC)
    ((before,),) = source.ask(f"SELECT (clock_timestamp() - interval '{SETTLED_S} s')::text")
    facts, tree = _facts(source, str(before)), testbed.folder.root / "base-backup"
    shutil.rmtree(tree, ignore_errors=True)
    try:
        archive.base_backup(source, tree)
        needs = archive.first_needed(tree)
        return testbed.backups.take(tree, f"database of {source.name}", ("database",), facts, began, needs)
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def prune(testbed: Testbed) -> tuple[str, ...]:
    """Let the oldest go, as many stay as the posture says, and with them the part of the log that only they needed."""
    gone = testbed.backups.prune(testbed.posture.backups_kept)
    if gone:
        archive.forget_before(testbed.archive, testbed.backups.all()[0].needs)
    return gone


def verify(testbed: Testbed) -> tuple[Verified, ...]:
    """Restore every backup into a server of its own and compare; oldest first."""
    return tuple(_verified(testbed, backup) for backup in testbed.backups.all())


def spoil(testbed: Testbed, backup: Backup) -> None:
    """Flip one bit in the middle of a backup, as an old disk does."""
    path = testbed.backups.sealed(backup.name)
    with path.open("r+b") as file:
        file.seek(backup.stored_bytes // 2)
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def _verified(testbed: Testbed, backup: Backup) -> Verified:
    try:
        made = testbed.backups.verify(
            backup, lambda tree, content: _proof(testbed, tree, content), testbed.folder.root / "opened-to-verify"
        )
    except DamagedError as error:
        return Verified(backup, error.message)
    return Verified(made, "")


def _proof(testbed: Testbed, tree: Path, content: BackupContent) -> None:
    """Start a server on the copy and ask it for what was known of the content.

    Raises:
        DamagedError: it says something else.
        TargetError: it does not start.
    """
    place = testbed.folder.root / "proof"
    source = testbed.regions[testbed.primary].server
    proof = dataclasses.replace(source, name="proof", folder=place, port=ports.free_port(source.port + 1), settings={})
    try:
        archive.restore(proof, tree, testbed.archive, None, testbed.environment("database-proof"), alone=True)
        if (found := _facts(proof, content.facts[BEFORE])) != content.facts:
            raise DamagedError(f"It holds {found[ROWS]} of {content.facts[ROWS]} records, or others.")
    finally:
        server.kill(proof)
        shutil.rmtree(place, ignore_errors=True)


def _facts(asked: Server, before: str) -> dict[str, str]:
    ((rows, digest),) = asked.ask(
        "SELECT count(*)::text, md5(coalesce(string_agg(number::text, ',' ORDER BY number), ''))"
        " FROM drill_writes WHERE at <= CAST(:before AS timestamptz)",
        before=before,
    )
    return {ROWS: str(rows), DIGEST: str(digest), BEFORE: before}
