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
