"""Usage and the lines it becomes, in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from archlab.control import corrections
from archlab.control.store import Store
from archlab.control.times import from_us, to_us
from archlab.errors import ArchlabError
from archlab.ledger.allocation import Owners
from archlab.ledger.lines import Overflow, interval, lines, overflow
from archlab.spec.money import Line, PriceBook, Usage
from archlab.spec.scenario import Scenario

_USAGE = (
    *("id", "start_us", "end_us", "team", "model", "mode", "unit", "resource", "kind", "quantity", "basis"),
    *("purchase", "commitment", "reason"),
)
_LINE = (
    *("usage_id", "start_us", "end_us", "team", "model", "mode", "kind", "resource", "quantity"),
    *("unit_price_nanousd", "unit_price_per", "cost_nanousd", "basis", "purchase", "commitment", "reason"),
)
_TABLES = (
    "CREATE TABLE IF NOT EXISTS usage ("
    " id TEXT PRIMARY KEY, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, team TEXT NOT NULL, model TEXT NOT NULL,"
    " mode TEXT NOT NULL, unit TEXT NOT NULL, resource TEXT NOT NULL, kind TEXT NOT NULL, quantity INTEGER NOT NULL,"
    " basis TEXT NOT NULL, purchase TEXT NOT NULL DEFAULT 'on_demand', commitment TEXT NOT NULL DEFAULT '',"
    " reason TEXT NOT NULL DEFAULT '') WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS usage_by_interval ON usage (start_us, end_us)",
    "CREATE TABLE IF NOT EXISTS lines ("
    " usage_id TEXT NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, team TEXT NOT NULL,"
    " model TEXT NOT NULL, mode TEXT NOT NULL, kind TEXT NOT NULL, resource TEXT NOT NULL, quantity INTEGER NOT NULL,"
    " unit_price_nanousd INTEGER NOT NULL, unit_price_per INTEGER NOT NULL, cost_nanousd INTEGER NOT NULL,"
    " basis TEXT NOT NULL, purchase TEXT NOT NULL, commitment TEXT NOT NULL, reason TEXT NOT NULL,"
    " PRIMARY KEY (usage_id, kind, purchase, start_us)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS lines_by_time ON lines (start_us)",
)


def prepare(store: Store) -> None:
    """Make the tables; those of a lab of an earlier version are carried over, with all that they hold."""
    with store.write() as db:
        earlier = _columns(db, "usage")
        if earlier and "purchase" not in earlier:
            _widen(db)
        for statement in (*_TABLES, *corrections.TABLES):
            db.execute(statement)


def record(db: sqlite3.Connection, usages: Iterable[Usage], scenario: Scenario) -> int:
    """Keep records that are new and bring the lines of their intervals up to date; returns how many were new.

    Raises:
        ArchlabError: a resource has no price.
    """
    owners = Owners.of(scenario)
    fresh = [u for u in usages if _insert(db, "usage", _USAGE, _row(owners.allocated(u)), "OR IGNORE")]
    for start, end in sorted({(u.start, u.end) for u in fresh}):
        _bill(db, (to_us(start), to_us(end)), scenario.prices)
    return len(fresh)


def read(db: sqlite3.Connection, since: datetime | None = None, until: datetime | None = None) -> list[Line]:
    """Lines with since <= start < until, oldest first, and corrections booked in that time."""
    low = to_us(since) if since else -(2**62)
    high = to_us(until) if until else 2**62
    rows = db.execute(
        "SELECT * FROM lines WHERE start_us >= ? AND start_us < ? ORDER BY start_us, usage_id", (low, high)
    )
    added = [line for made in corrections.read(db, low, high) for line in made.lines]
    return [*(Line.model_validate(timed(row)) for row in rows), *added]


def read_overflow(db: sqlite3.Connection) -> list[Overflow]:
    """Use beyond reservations: metered, not priced."""
    rows = db.execute("SELECT * FROM usage WHERE kind IN ('reserved', 'used')")
    return overflow(Usage.model_validate(timed(row)) for row in rows)


def timed(row: sqlite3.Row) -> dict[str, Any]:
    """A row's fields, with moments instead of microseconds."""
    fields = dict(row)
    return {"start": from_us(fields.pop("start_us")), "end": from_us(fields.pop("end_us")), **fields}


def _bill(db: sqlite3.Connection, span: tuple[int, int], prices: PriceBook) -> None:
    """Write the lines of one interval anew."""
    at = " WHERE start_us = ? AND end_us = ?"
    usages = [Usage.model_validate(timed(row)) for row in db.execute(f"SELECT * FROM usage{at}", span)]  # noqa: S608
    db.execute(f"DELETE FROM lines WHERE usage_id IN (SELECT id FROM usage{at})", span)  # noqa: S608
    try:
        bill = lines(sorted(usages, key=interval), prices)
    except LookupError as error:
        raise ArchlabError(f"The bill can't be written: {error}.", "Add the price to the scenario.") from None
    for line in bill:
        _insert(db, "lines", _LINE, _row(line))


def _row(value: Usage | Line) -> dict[str, Any]:
    return {**value.model_dump(mode="json"), "start_us": to_us(value.start), "end_us": to_us(value.end)}


def _insert(db: sqlite3.Connection, table: str, columns: tuple[str, ...], row: dict[str, Any], how: str = "") -> bool:
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT {how} INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
    return db.execute(statement, [row[name] for name in columns]).rowcount > 0


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row["name"] for row in db.execute(f"PRAGMA table_info({table})")}


def _widen(db: sqlite3.Connection) -> None:
    """Tables of the first version: everything on them was bought on demand."""
    db.execute("ALTER TABLE usage ADD COLUMN purchase TEXT NOT NULL DEFAULT 'on_demand'")
    for name in ("commitment", "reason"):
        db.execute(f"ALTER TABLE usage ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE lines RENAME TO lines_before")
    db.execute(_TABLES[2])
    shared = ", ".join(_LINE[:-3])
    db.execute(
        f"INSERT INTO lines ({', '.join(_LINE)}) SELECT {shared}, 'on_demand', '', '' FROM lines_before"  # noqa: S608
    )
    db.execute("DROP TABLE lines_before")
