"""The state of the start, kept aside and put back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from archlab.settings import LabFolder
from archlab.targets import snapshot


def test_reset_returns_databases_and_files(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "lab")
    folder.control_db.parent.mkdir(parents=True)
    open_writer = sqlite3.connect(folder.control_db)
    open_writer.execute("pragma journal_mode=wal")
    open_writer.execute("create table t(x)")
    open_writer.execute("insert into t values (1)")
    open_writer.commit()
    folder.releases.mkdir()
    (folder.releases / "feed.json").write_text("start")

    assert not snapshot.exists(folder)
    snapshot.save(folder)
    assert snapshot.exists(folder)

    open_writer.execute("insert into t values (2)")
    open_writer.commit()
    open_writer.close()
    (folder.releases / "feed.json").write_text("later")
    folder.predictions.mkdir()
    snapshot.restore(folder)

    with sqlite3.connect(folder.control_db) as reader:
        assert reader.execute("select x from t").fetchall() == [(1,)]
    assert (folder.releases / "feed.json").read_text() == "start"
    assert not folder.predictions.exists()


def test_a_folder_in_its_place_gets_its_content_back_and_keeps_its_own_rights(tmp_path: Path) -> None:
    """A volume's root belongs to somebody else, who alone may change its rights and times."""
    folder = LabFolder(tmp_path / "lab")
    (folder.root / "registry" / "artifacts").mkdir(parents=True)
    (folder.root / "registry" / "artifacts" / "model.onnx").write_bytes(b"model")
    snapshot.save(folder)
    (folder.start / "registry").chmod(0o700)
    (folder.start / "registry" / "artifacts").chmod(0o700)
    snapshot.restore(folder)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    restored = folder.root / "registry"
    assert restored.stat().st_mode == fresh.stat().st_mode
    assert (restored / "artifacts").stat().st_mode & 0o777 == 0o700
    assert (restored / "artifacts" / "model.onnx").read_bytes() == b"model"
