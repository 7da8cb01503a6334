"""Backups of what a lab can't make anew: the registry's database (metadata) and the models' files (weights).

One without the other is worth nothing: rows that name files that are gone, files of which nobody knows what they are.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from archlab.errors import LabStateError
from archlab.files import file_sha256
from archlab.lab.lab import Lab
from archlab.lab.lock import exclusive
from archlab.recovery.backups import Store, text_digest
from archlab.recovery.vault import DamagedError
from archlab.registry.artifacts import model_file
from archlab.registry.evidence import SHA256
from archlab.spec.backup import Backup, BackupContent
from archlab.targets import processes

DATABASE, ARTIFACTS = "mlflow.db", "artifacts"
SCHEME = "mlflow-artifacts:/"
VERSIONS, ROWS = "versions", "rows"
PATIENCE_S = 120.0
"""How long a command waits for another one that works on the same backups."""
TABLES = ("model_versions", "model_version_tags", "registered_models", "registered_model_aliases")
"""What a restored registry has to say as the old one did."""


class Part(StrEnum):
    """What can be backed up."""

    METADATA = "metadata"
    WEIGHTS = "weights"


EVERYTHING = tuple(Part)


def store(lab: Lab, folder: Path | None = None) -> Store:
    """The lab's backups, beside it or in another folder; the key is the lab's in either case."""
    return Store(folder or lab.folder.root / "backups", lab.folder.keys / "backup.key")


def take(lab: Lab, into: Store, parts: Collection[Part] = EVERYTHING) -> Backup:
    """Back a lab up while it runs.

    The database is read first: files are written before the rows that name them, so every row's file is in the copy.

    Raises:
        LabStateError: what the lab stores is not on this machine.
        ConflictError: another command works on its backups, and does not end.
    """
    registry = _registry(lab)
    with _alone(lab, "backup take"):
        if not (registry / DATABASE).exists():
            raise LabStateError(f"Lab {lab.name} has no registry to back up.", "Restore one: archlab backup restore")
        return _take(lab, registry, into, parts)


def _take(lab: Lab, registry: Path, into: Store, parts: Collection[Part]) -> Backup:
    began = datetime.now(UTC)
    with tempfile.TemporaryDirectory(dir=lab.folder.root, prefix=".backup-") as made:
        tree, facts = Path(made), dict[str, str]()
        if Part.METADATA in parts:
            copy = tree / Part.METADATA / DATABASE
            copy.parent.mkdir()
            _copy_database(registry / DATABASE, copy)
            facts = facts_of(copy)
        if Part.WEIGHTS in parts:
            shutil.copytree(registry / ARTIFACTS, tree / Part.WEIGHTS)
        return into.take(tree, f"lab {lab.name}", [p.value for p in EVERYTHING if p in parts], facts, began)


def verify(lab: Lab, of: Store, backup: Backup) -> Backup:
    """Restore a backup into an empty place and compare it.

    Raises:
        DamagedError: it can't be restored; says why.
        ConflictError: another command works on the lab's backups, and does not end.
    """
    with _alone(lab, "backup verify"):
        return of.verify(backup, proof, lab.folder.root / ".opened-to-verify")


def restore(lab: Lab, of: Store, backup: Backup) -> Path | None:
    """Make the registry what it was; returns where the old one is kept, None where there was none.

    Raises:
        LabStateError: something of the lab runs, or what it stores is not on this machine.
        DamagedError: the backup can't be restored; nothing was changed.
    """
    registry = _registry(lab)
    with exclusive(lab.folder, "backup restore"), _alone(lab, "backup restore"):
        _refuse_writers(lab)
        opened = lab.folder.root / ".opened-to-restore"
        of.prove(backup, proof, opened)
        (opened / Part.METADATA / DATABASE).rename(opened / DATABASE)
        (opened / Part.METADATA).rmdir()
        (opened / Part.WEIGHTS).rename(opened / ARTIFACTS)
        aside = (
            registry.with_name(f"registry-before-{datetime.now(UTC):%Y%m%dT%H%M%S%f}") if registry.exists() else None
        )
        if aside:
            registry.rename(aside)
        opened.rename(registry)
    return aside


@contextmanager
def _alone(lab: Lab, what: str) -> Iterator[None]:
    """One command at a time copies or replaces what the lab stores; what a killed one left behind goes first."""
    with exclusive(lab.folder, what, "backup-lock", patience_s=PATIENCE_S):
        for pattern in (".backup-*", ".opened-*", "..opened-*"):
            for left in lab.folder.root.glob(pattern):
                shutil.rmtree(left, ignore_errors=True)
        yield


def _refuse_writers(lab: Lab) -> None:
    """Let a restore begin only when nobody is left who could write to what it replaces.

    Raises:
        LabStateError: somebody is: a unit, or a process that a killed supervisord or command left behind.
    """
    running = sorted({r.unit for r in lab.target.observe().replicas if r.pid is not None})
    running = running or [f"process {p.pid}" for p in processes.marked(lab.folder.root, jobs=True)]
    if running:
        raise LabStateError(
            f"Lab {lab.name} runs: {', '.join(running[:3])}{' …' if len(running) > 3 else ''}.",
            f"Stop it first: archlab down --lab {lab.name}",
        )


def proof(tree: Path, content: BackupContent) -> None:
    """Whether a restored copy is a registry that could be used.

    Raises:
        DamagedError: it is not; says why.
    """
    database, weights = tree / Part.METADATA / DATABASE, tree / Part.WEIGHTS
    if not database.exists():
        raise DamagedError("It holds weights without metadata: nobody can say which file is which model's.")
    if facts_of(database) != content.facts:
        raise DamagedError("Its registry does not say what it said when it was backed up.")
    if gone := tuple(_without_weights(database, weights)):
        further = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise DamagedError(f"It holds metadata without weights: no file of {gone[0]}{further} is in it.")


def facts_of(database: Path) -> dict[str, str]:
    """How many versions a registry has, and a digest of what it says about models.

    Raises:
        DamagedError: it is no database, or a damaged one.
    """
    try:
        with closing(sqlite3.connect(database)) as db:
            ((sound,),) = db.execute("PRAGMA integrity_check(1)").fetchall()
            if sound != "ok":
                raise DamagedError(f"Its registry is damaged: {sound}.")
            lines = [
                f"{table} {row!r}"
                for table in TABLES
                for row in sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr)  # noqa: S608
            ]
    except sqlite3.Error as error:
        raise DamagedError(f"Its registry can't be read: {error}.") from None
    count = sum(line.startswith("model_versions ") for line in lines)
    return {VERSIONS: str(count), ROWS: text_digest(lines)}


def _without_weights(database: Path, weights: Path) -> Iterator[str]:
    """Versions whose file is not in a copy, or is another one."""
    with closing(sqlite3.connect(database)) as db:
        rows = db.execute(
            "SELECT v.name, v.version, v.storage_location, t.value FROM model_versions v JOIN model_version_tags t"
            " ON t.name = v.name AND t.version = v.version AND t.workspace = v.workspace AND t.key = ?"
            " WHERE v.current_stage <> 'Deleted_Internal' ORDER BY v.name, v.version",
            (SHA256,),
        ).fetchall()
    for name, version, location, sha256 in rows:
        file = model_file(weights / str(location or "").removeprefix(SCHEME))
        if file is None or file_sha256(file) != sha256:
            yield f"{name} version {version}"


def _registry(lab: Lab) -> Path:
    """Where the registry keeps what it has, if it has anything."""
    if lab.identity.kube:
        raise LabStateError(
            f"Lab {lab.name} keeps its registry on a cluster.",
            "Backups are of labs that run on this machine; there, snapshot the volumes.",
        )
    if lab.declared.regions:
        raise LabStateError(
            f"Lab {lab.name} keeps its registry in the Postgres of two regions, and no copy of that is made here.",
            "What stands in for a lost region is its posture: archlab dr plan",
        )
    return lab.folder.registry


def _copy_database(source: Path, copy: Path) -> None:
    """SQLite's own way to copy a database that is in use."""
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as there,
        closing(sqlite3.connect(copy)) as here,
    ):
        there.backup(here)
