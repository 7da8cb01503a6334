"""Usage and the lines it becomes, in the database; and the total by the second path."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from archlab.control.times import from_us, to_us
from archlab.errors import ArchlabError
from archlab.ledger.lines import Overflow, interval, lines, overflow
from archlab.spec.money import Line, PriceBook, Usage

_USAGE = ("id", "start_us", "end_us", "team", "model", "mode", "unit", "resource", "kind", "quantity", "basis")
_LINE = (
    *("usage_id", "start_us", "end_us", "team", "model", "mode", "kind", "resource", "quantity"),
    *("unit_price_nanousd", "unit_price_per", "cost_nanousd", "basis"),
)


def record(db: sqlite3.Connection, usages: Iterable[Usage], prices: PriceBook) -> int:
    """Keep records that are new and bring the lines of their intervals up to date; returns how many were new.

    Raises:
        ArchlabError: a resource has no price.
    """
    fresh = [u for u in usages if _insert(db, "usage", _USAGE, _row(u), "OR IGNORE")]
    for start, end in sorted({(u.start, u.end) for u in fresh}):
        span = (to_us(start), to_us(end))
        db.execute("DELETE FROM lines WHERE start_us = ? AND end_us = ?", span)
        try:
            bill = lines(_usages(db, span), prices)
        except LookupError as error:
            raise ArchlabError(f"The bill can't be written: {error}.", "Add the price to the scenario.") from None
        for line in bill:
            _insert(db, "lines", _LINE, _row(line))
    return len(fresh)


def read(db: sqlite3.Connection, since: datetime | None = None, until: datetime | None = None) -> list[Line]:
    """Lines with since <= start < until, oldest first."""
    low = to_us(since) if since else -(2**62)
    high = to_us(until) if until else 2**62
    rows = db.execute(
        "SELECT * FROM lines WHERE start_us >= ? AND start_us < ? ORDER BY start_us, usage_id", (low, high)
    )
    return [Line.model_validate(_timed(row)) for row in rows]


def read_overflow(db: sqlite3.Connection) -> list[Overflow]:
    """Use beyond reservations: metered, not priced."""
    rows = db.execute("SELECT * FROM usage WHERE kind IN ('reserved', 'used')")
    return overflow(Usage.model_validate(_timed(row)) for row in rows)


def recomputed(database: Path, prices: PriceBook) -> int:
    """The total by the second path, in a process of its own (DuckDB does not stay in control's memory)."""
    command = [sys.executable, "-m", "archlab.control.recompute", str(database)]
    done = subprocess.run(command, input=prices.model_dump_json(), capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise ArchlabError(
            f"The bill could not be recomputed: {done.stderr.strip()[-500:]}", "See: archlab logs control"
        )
    return int(json.loads(done.stdout)["total_nanousd"])


def _usages(db: sqlite3.Connection, span: tuple[int, int]) -> list[Usage]:
    rows = db.execute("SELECT * FROM usage WHERE start_us = ? AND end_us = ?", span)
    return sorted((Usage.model_validate(_timed(row)) for row in rows), key=interval)


def _row(value: Usage | Line) -> dict[str, Any]:
    return {**value.model_dump(mode="json"), "start_us": to_us(value.start), "end_us": to_us(value.end)}


def _timed(row: sqlite3.Row) -> dict[str, Any]:
    fields = dict(row)
    return {"start": from_us(fields.pop("start_us")), "end": from_us(fields.pop("end_us")), **fields}


def _insert(db: sqlite3.Connection, table: str, columns: tuple[str, ...], row: dict[str, Any], how: str = "") -> bool:
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT {how} INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
    return db.execute(statement, [row[name] for name in columns]).rowcount > 0
