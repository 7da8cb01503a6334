"""Backups of a registry: metadata and weights, and what either is worth without the other."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from archlab.errors import ConflictError, LabStateError
from archlab.files import write_model
from archlab.lab import Lab, backups
from archlab.lab.backups import Part
from archlab.lab.lock import exclusive
from archlab.recovery.backups import Store
from archlab.recovery.vault import DamagedError
from archlab.spec.backup import Backup, BackupContent
from archlab.targets import processes
from labs import still_lab

# as MLflow has them, as far as they are read here
SCHEMA = """
CREATE TABLE registered_models (name TEXT, workspace TEXT);
CREATE TABLE registered_model_aliases (alias TEXT, version INT, name TEXT, workspace TEXT);
CREATE TABLE model_versions (name TEXT, version INT, current_stage TEXT, storage_location TEXT, workspace TEXT);
CREATE TABLE model_version_tags (key TEXT, value TEXT, name TEXT, version INT, workspace TEXT);
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab that is down, with two versions of a model."""
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path))
    made = Lab(still_lab(tmp_path))
    registry = made.folder.registry
    registry.mkdir()
    with closing(sqlite3.connect(registry / "mlflow.db")) as db, db:
        db.executescript(SCHEMA)
        db.execute("INSERT INTO registered_models VALUES ('flight-time', 'default')")
        for version in (1, 2):
            content = f"weights of version {version}".encode()
            place = registry / "artifacts" / "1" / "models" / f"m-{version}" / "artifacts"
            place.mkdir(parents=True)
            (place / "model.onnx").write_bytes(content)
            location = f"mlflow-artifacts:/1/models/m-{version}/artifacts"
            db.execute(
                "INSERT INTO model_versions VALUES ('flight-time', ?, 'None', ?, 'default')", (version, location)
            )
            digest = hashlib.sha256(content).hexdigest()
            db.execute(
                "INSERT INTO model_version_tags VALUES ('archlab.sha256', ?, 'flight-time', ?, 'default')",
                (digest, version),
            )
    return made


def versions(lab: Lab) -> int:
    with closing(sqlite3.connect(lab.folder.registry / "mlflow.db")) as db:
        ((count,),) = db.execute("SELECT count(*) FROM model_versions").fetchall()
        return int(count)


def test_a_lost_registry_comes_back_and_the_old_one_is_kept(lab: Lab) -> None:
    store = backups.store(lab)
    made = backups.take(lab, store)
    assert (made.parts, made.files) == (("metadata", "weights"), 3)
    with closing(sqlite3.connect(lab.folder.registry / "mlflow.db")) as db, db:
        db.execute("DELETE FROM model_versions")
    assert versions(lab) == 0
    aside = backups.restore(lab, store, made)
    assert aside
    assert versions(lab) == 2
    assert (lab.folder.registry / "artifacts" / "1" / "models" / "m-2" / "artifacts" / "model.onnx").exists()
    assert (aside / "mlflow.db").exists()
    assert store.one().verified, "a restore begins with a proof"
    assert not [path for path in lab.folder.root.iterdir() if path.name.startswith((".backup-", ".opened-"))]


def test_a_restore_opens_a_backup_once(lab: Lab) -> None:
    class Counted(Store):
        opened = 0

        def open(self, backup: Backup, into: Path) -> BackupContent:
            self.opened += 1
            return super().open(backup, into)

    plain = backups.store(lab)
    store = Counted(plain.folder, plain.key)
    backups.restore(lab, store, backups.take(lab, store))
    assert store.opened == 1
    assert store.one().verified


def test_nothing_is_restored_beside_whoever_may_write_to_it(lab: Lab) -> None:
    store = backups.store(lab)
    made = backups.take(lab, store)
    env = processes.environment(os.environ, lab.folder.root, "registry-0")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=env) as left_behind:
        with pytest.raises(LabStateError, match=f"runs: process {left_behind.pid}") as refused:
            backups.restore(lab, store, made)
        assert "archlab down" in refused.value.remedy
        left_behind.kill()
    assert backups.restore(lab, store, made)


def test_whoever_copies_what_is_stored_waits_for_whoever_replaces_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "PATIENCE_S", 0.2)
    store = backups.store(lab)
    made = backups.take(lab, store)
    with exclusive(lab.folder, "backup restore", "backup-lock"):
        with pytest.raises(ConflictError, match="busy: archlab backup restore"):
            backups.take(lab, store)
        with pytest.raises(ConflictError, match="busy: archlab backup restore"):
            backups.verify(lab, store, made)


def test_what_a_killed_command_left_behind_goes_with_the_next(lab: Lab) -> None:
    store = backups.store(lab)
    made = backups.take(lab, store)
    for name in (".backup-killed", ".opened-to-verify", "..opened-to-verify.part", ".opened-to-restore"):
        (lab.folder.root / name).mkdir()
        (lab.folder.root / name / "mlflow.db").write_text("readable by whoever finds it")
    assert backups.verify(lab, store, made).verified
    assert not [
        path.name for path in lab.folder.root.iterdir() if "backup-killed" in path.name or "opened" in path.name
    ]


@pytest.mark.parametrize("what", ["mlflow.db", "artifacts", ""])
def test_what_is_gone_altogether_comes_back(lab: Lab, what: str) -> None:
    store = backups.store(lab)
    made = backups.take(lab, store)
    lost = lab.folder.registry / what
    lost.unlink() if lost.is_file() else shutil.rmtree(lost)
    aside = backups.restore(lab, store, made)
    assert (aside is None) == (what == "")
    assert versions(lab) == 2
    again = backups.restore(lab, store, made)
    assert again, "a second restore keeps what the first one made"
    assert aside is None or aside.exists()


def test_a_database_in_use_is_copied_whole(lab: Lab) -> None:
    with closing(sqlite3.connect(lab.folder.registry / "mlflow.db")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM model_versions")
        made = backups.take(lab, backups.store(lab))
        writer.rollback()
    assert backups.verify(lab, backups.store(lab), made).verified, "what was never committed is not in it"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((Part.METADATA,), "metadata without weights: no file of flight-time version 1 and 1 more"),
        ((Part.WEIGHTS,), "weights without metadata"),
    ],
)
def test_half_a_backup_is_none(lab: Lab, parts: tuple[Part, ...], reason: str) -> None:
    store = backups.store(lab)
    made = backups.take(lab, store, parts)
    with pytest.raises(DamagedError, match=reason):
        backups.verify(lab, store, made)
    with pytest.raises(DamagedError, match=reason):
        backups.restore(lab, store, made)
    assert versions(lab) == 2, "nothing was changed"


def test_a_file_that_was_exchanged_before_the_backup_is_found_out(lab: Lab) -> None:
    place = lab.folder.registry / "artifacts" / "1" / "models" / "m-1" / "artifacts" / "model.onnx"
    place.write_bytes(b"others")
    made = backups.take(lab, backups.store(lab))
    with pytest.raises(DamagedError, match="no file of flight-time version 1 is in it"):
        backups.verify(lab, backups.store(lab), made)


def test_a_registry_that_says_something_else_is_found_out(lab: Lab, tmp_path: Path) -> None:
    store = backups.store(lab)
    content = store.open(backups.take(lab, store), tmp_path / "tree")
    database = tmp_path / "tree" / "metadata" / "mlflow.db"
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE model_version_tags SET value = 'x' WHERE version = 2")
    with pytest.raises(DamagedError, match="does not say what it said"):
        backups.proof(tmp_path / "tree", content)
    database.write_bytes(b"SQLite format 3\0" + bytes(5000))
    with pytest.raises(DamagedError, match="registry"):
        backups.proof(tmp_path / "tree", content)


def test_without_a_registry_on_this_machine_there_is_nothing_to_back_up(lab: Lab) -> None:
    (lab.folder.registry / "mlflow.db").unlink()
    with pytest.raises(LabStateError, match="no registry to back up"):
        backups.take(lab, backups.store(lab))


def test_a_registry_in_two_regions_is_refused_and_not_called_lost(lab: Lab) -> None:
    write_model(lab.folder.identity, lab.identity.model_copy(update={"scenario": "disaster-recovery"}))
    with pytest.raises(LabStateError, match="Postgres of two regions") as refused:
        backups.take(lab, backups.store(lab))
    assert "archlab dr plan" in refused.value.remedy
