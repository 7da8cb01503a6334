"""Backups of a drill's database and the archive of its log: taken, verified, opened, restored from."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from archlab.drills.running import Running
from archlab.recovery import archive, server
from archlab.recovery.asked import Asked
from archlab.recovery.backups import Store
from archlab.recovery.server import Server
from archlab.recovery.vault import DamagedError
from archlab.spec.backup import Backup, BackupContent
from archlab.targets import ports

ARCHIVE = "archive"
ROWS, DIGEST, BEFORE = "rows", "digest", "before"
SETTLED_S = 2
"""Rows that are younger may not be committed yet when they are counted."""


class Verified(NamedTuple):
    """What became of a backup that was tried."""

    backup: Backup
    alert: str
    """Why it can't be restored; empty when it can."""


class Kept(Protocol):
    """What is kept of a region's database, and what can be done with it."""

    def all(self) -> tuple[Backup, ...]:
        """Its backups, oldest first."""

    def take(self) -> Backup:
        """Back it up: a base backup, checked against its manifest, encrypted."""

    def prune(self, keep: int) -> tuple[str, ...]:
        """Let the oldest go, so many stay, and the part of the log that only they needed. Names of those that went."""

    def spoil(self) -> Backup:
        """Flip one bit in the middle of the newest backup, as an old disk does."""

    def verify(self) -> tuple[Verified, ...]:
        """Restore every backup into a server of its own and compare; oldest first."""

    def open(self) -> Backup:
        """Open the newest backup that is not known to be useless; `restore` begins with it.

        Raises:
            NotFoundError: there is none.
            DamagedError: it can't be opened.
        """

    def archive_now(self) -> None:
        """Hand over what was written up to now; returns when it is archived."""

    def restore(self, until: datetime) -> None:
        """Make the database, which stands still, what it was at a moment; it runs as a primary then."""


@dataclasses.dataclass(frozen=True, slots=True)
class LocalKept:
    """What is kept in a folder of this machine."""

    server: Server
    root: Path
    """Backups, their key and the archive are in it."""
    running: Running

    @property
    def archive(self) -> Path:
        """The write-ahead log, piece by piece."""
        return self.root / ARCHIVE

    @property
    def store(self) -> Store:
        """Base backups, encrypted."""
        return Store(self.root / "backups", self.root / "backup.key")

    def all(self) -> tuple[Backup, ...]:
        """Every backup of which it can be read what it is."""
        return self.store.all()

    def take(self) -> Backup:
        """A base backup, checked against its manifest, encrypted."""
        began = datetime.now(UTC)
        ((before,),) = self.server.ask(f"SELECT (clock_timestamp() - interval '{SETTLED_S} s')::text")
        facts, tree = _facts(self.server, str(before)), self.root / "base-backup"
        shutil.rmtree(tree, ignore_errors=True)
        try:
            archive.base_backup(self.server, tree)
            needs = archive.first_needed(tree)
            return self.store.take(tree, f"database of {self.server.name}", ("database",), facts, began, needs)
        finally:
            shutil.rmtree(tree, ignore_errors=True)

    def prune(self, keep: int) -> tuple[str, ...]:
        """The oldest go, and the part of the log that only they needed."""
        gone = self.store.prune(keep)
        if gone:
            archive.forget_before(self.archive, self.store.all()[0].needs)
        return gone

    def spoil(self) -> Backup:
        """Flip one bit in the middle of the newest backup."""
        newest = self.store.one()
        with self.store.sealed(newest.name).open("r+b") as file:
            file.seek(newest.stored_bytes // 2)
            (byte,) = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))
        return newest

    def verify(self) -> tuple[Verified, ...]:
        """Restore every backup into a server of its own and compare; oldest first."""
        return tuple(self._verified(backup) for backup in self.store.all())

    def open(self) -> Backup:
        """Open what a restore begins with."""
        backup = self.store.usable()
        shutil.rmtree(self._opened, ignore_errors=True)
        self.store.open(backup, self._opened)
        return backup

    def archive_now(self) -> None:
        """Hand over what was written up to now; returns when it is archived."""
        archive.archive_now(self.server, self.archive)

    def restore(self, until: datetime) -> None:
        """From the opened backup and the archive."""
        env = self.running.environment(f"database-{self.server.name}")
        archive.restore(self.server, self._opened, self.archive, until, env)

    @property
    def _opened(self) -> Path:
        return self.root / "opened-to-restore"

    def _verified(self, backup: Backup) -> Verified:
        try:
            made = self.store.verify(backup, self.proof, self.root / "opened-to-verify")
        except DamagedError as error:
            return Verified(backup, error.message)
        return Verified(made, "")

    def proof(self, tree: Path, content: BackupContent) -> None:
        """Start a server on a copy and ask it for what was known of the content.

        Raises:
            DamagedError: it says something else.
            TargetError: it does not start.
        """
        place, port = self.root / "proof", ports.free_port(self.server.port + 1)
        proof = dataclasses.replace(self.server, name="proof", folder=place, port=port, settings={})
        try:
            archive.restore(proof, tree, self.archive, None, self.running.environment("database-proof"), alone=True)
            if (found := _facts(proof, content.facts[BEFORE])) != content.facts:
                raise DamagedError(f"It holds {found[ROWS]} of {content.facts[ROWS]} records, or others.")
        finally:
            server.kill(proof)
            shutil.rmtree(place, ignore_errors=True)


def _facts(asked: Asked, before: str) -> dict[str, str]:
    ((rows, digest),) = asked.ask(
        "SELECT count(*)::text, md5(coalesce(string_agg(number::text, ',' ORDER BY number), ''))"
        " FROM drill_writes WHERE at <= CAST(:before AS timestamptz)",
        before=before,
    )
    return {ROWS: str(rows), DIGEST: str(digest), BEFORE: before}
