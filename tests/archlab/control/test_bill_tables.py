"""A lab of an earlier version keeps its bill."""

from __future__ import annotations

from pathlib import Path

from archlab.control import bill
from archlab.control.recompute import verified
from archlab.control.store import Store
from archlab.spec.scenario import Scenario
from control_process import START, made_tick

BEFORE = """
CREATE TABLE usage (
  id TEXT PRIMARY KEY, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, team TEXT NOT NULL, model TEXT NOT NULL,
  mode TEXT NOT NULL, unit TEXT NOT NULL, resource TEXT NOT NULL, kind TEXT NOT NULL,
  quantity INTEGER NOT NULL, basis TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX usage_by_interval ON usage (start_us, end_us);
CREATE TABLE lines (
  usage_id TEXT NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, team TEXT NOT NULL, model TEXT NOT NULL,
  mode TEXT NOT NULL, kind TEXT NOT NULL, resource TEXT NOT NULL, quantity INTEGER NOT NULL,
  unit_price_nanousd INTEGER NOT NULL, unit_price_per INTEGER NOT NULL, cost_nanousd INTEGER NOT NULL,
  basis TEXT NOT NULL, PRIMARY KEY (start_us, end_us, usage_id, kind)
) WITHOUT ROWID;
"""
"""As the first version of the schema had them."""


def test_tables_of_the_first_version_are_carried_over(tmp_path: Path, scenario: Scenario) -> None:
    new, old = Store(tmp_path / "new.db"), Store(tmp_path / "old.db")
    bill.prepare(new)
    with new.write() as db:
        bill.record(db, made_tick(START).usage, scenario)
        usage, lines = (db.execute(f"SELECT * FROM {table}").fetchall() for table in ("usage", "lines"))
    with old.write() as db:
        for statement in filter(str.strip, BEFORE.split(";")):
            db.execute(statement)
        for table, rows in (("usage", usage), ("lines", lines)):
            kept = [row["name"] for row in db.execute(f"PRAGMA table_info({table})")]
            marks = ", ".join("?" * len(kept))
            statement = f"INSERT INTO {table} ({', '.join(kept)}) VALUES ({marks})"
            db.executemany(statement, [[row[name] for name in kept] for row in rows])
    for _ in range(2):
        bill.prepare(old)
    with old.read() as db:
        carried = bill.read(db)
    with new.read() as db:
        assert carried == bill.read(db) != []
    old.close()
    found = verified(tmp_path / "old.db", scenario.prices)
    assert found["agrees"]
    assert found["total_nanousd"] == sum(line.cost_nanousd for line in carried)
