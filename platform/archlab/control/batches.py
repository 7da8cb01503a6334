"""Finished batch runs and their tables."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic_core import to_json

from archlab.control import bill, lineage
from archlab.control.feed import Feed
from archlab.control.store import Store
from archlab.control.times import to_us
from archlab.errors import UserError
from archlab.spec.base import Sha256, Spec, UtcTime
from archlab.spec.grading import BatchRun
from archlab.spec.lineage import OpenLineageEvent
from archlab.spec.money import Usage
from archlab.spec.scenario import Scenario

KEPT_TABLES = 3
"""Per model; older ones have no reader."""


class Table(Spec):
    """A table file: precomputed answers by key."""

    format: Literal["archlab/table/v1"]
    model: str
    version: str
    run: str
    keys: tuple[str, ...]
    business_time: UtcTime
    rows: dict[str, float | None]
    source_sha256: str = ""
    """Digest of the ONNX file that computed it, where the job says so."""


class Finished(Spec):
    """Body of `POST /batch-runs`."""

    run: BatchRun
    table: Table
    usage: tuple[Usage, ...] = ()
    answers_sha256: Sha256 | Literal[""] = ""
    """Digest of the file of answers, where the job says so."""
    lineage: tuple[OpenLineageEvent, ...] = ()
    """What the job reports of itself."""


@dataclass(frozen=True, slots=True)
class TableRun:
    """The newest run of a model, and where its table is."""

    run: BatchRun
    sha256: str
    size_bytes: int
    table_keys: tuple[str, ...]
    source_sha256: str


_KEYS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


def record(store: Store, feed: Feed, finished: Finished, scenario: Scenario) -> None:
    """Keep the run, its usage, and its table as a file under its digest. Recording it again changes nothing.

    Raises:
        UserError: the table is not the run's.
    """
    run, table = finished.run, finished.table
    if (table.model, table.version, table.run) != (run.model, run.version, run.id):
        raise UserError(
            f"The table is of {table.model} {table.version} {table.run}, the run is {run.id} of {run.model}."
        )
    content = to_json(table.model_dump(mode="json"))
    sha256 = feed.keep(content)
    with store.write() as db:
        after = db.execute("SELECT coalesce(max(recorded), 0) + 1 FROM batch_runs").fetchone()[0]
        row = (run.id, run.model, to_us(run.business_time), after, run.model_dump_json(), sha256, len(content))
        db.execute(
            "INSERT OR REPLACE INTO batch_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, to_json(table.keys).decode(), table.source_sha256),
        )
        bill.record(db, finished.usage, scenario)
        lineage.append(db, finished.lineage)
        made = lineage.of_table(run.model, run.id, finished.answers_sha256, sha256, run.business_time)
        lineage.append(db, made)


def read(db: sqlite3.Connection) -> list[BatchRun]:
    """Every run, in the order of business time."""
    rows = db.execute("SELECT run FROM batch_runs ORDER BY business_us, recorded")
    return [BatchRun.model_validate_json(row["run"]) for row in rows]


def newest(db: sqlite3.Connection, model: str) -> TableRun | None:
    """The run whose table should answer."""
    rows = _newest_first(db, model, 1)
    return _table_run(rows[0]) if rows else None


def outdated(db: sqlite3.Connection, model: str) -> set[str]:
    """Digests of tables that no server needs any more."""
    rows = _newest_first(db, model, -1)
    return {row["sha256"] for row in rows[KEPT_TABLES:]} - {row["sha256"] for row in rows[:KEPT_TABLES]}


def _newest_first(db: sqlite3.Connection, model: str, limit: int) -> list[Any]:
    return db.execute(
        "SELECT * FROM batch_runs WHERE model = ? ORDER BY business_us DESC, recorded DESC LIMIT ?", (model, limit)
    ).fetchall()


def _table_run(row: sqlite3.Row) -> TableRun:
    return TableRun(
        run=BatchRun.model_validate_json(row["run"]),
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        table_keys=_KEYS.validate_json(row["table_keys"]),
        source_sha256=row["source"],
    )
