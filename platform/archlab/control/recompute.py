"""`python -m archlab.control.recompute CONTROL_DB < price book`: the bill by the second path, beside the first.

Both are read from the database as it stood at one moment.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from archlab.control import bill
from archlab.control.times import to_us
from archlab.ledger.recompute import COLUMNS, CORRECTED, Key, Recomputation, export, recompute
from archlab.ledger.sharing import Section, sections
from archlab.spec.money import Line, PriceBook

SHOWN = 1000
"""Differences beyond these are only counted."""


def verified(database: Path, prices: PriceBook) -> dict[str, Any]:
    """Both sums in all and by part, and the lines that differ; amounts in nano-dollars."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    try:
        db.execute("BEGIN")
        lines = bill.read(db)
        again = recomputed(db, lines, prices)
    finally:
        db.close()
    billed, differing = sections(lines), differences(lines, again)
    return {
        "total_nanousd": sum(line.cost_nanousd for line in lines),
        "recomputed_nanousd": again.total,
        "agrees": not differing,
        "lines": len(lines),
        "sections": {
            part.value: {"billed_nanousd": billed[part], "recomputed_nanousd": again.sections.get(part, 0)}
            for part in Section
        },
        "differing": len(differing),
        "differences": differing[:SHOWN],
    }


def differences(lines: Iterable[Line], again: Recomputation) -> list[dict[str, Any]]:
    """Lines that only one path has, or that cost something else on the other."""
    billed = {key(line): line for line in lines}
    found = []
    for name in sorted({*billed, *again.lines}):
        line = billed.get(name)
        first, second = line.cost_nanousd if line else None, again.lines.get(name)
        if first != second:
            about = {"line": line.id if line else "", **name._asdict()}
            found.append({**about, "billed_nanousd": first, "recomputed_nanousd": second})
    return found


def key(line: Line) -> Key:
    """What names a line on both paths."""
    return Key(line.usage_id, line.kind.value, line.purchase.value, to_us(line.start))


def recomputed(db: sqlite3.Connection, lines: Iterable[Line], prices: PriceBook) -> Recomputation:
    """The bill by the second path, from the raw records, and the corrections among the lines."""
    with tempfile.TemporaryDirectory() as folder:
        usage, corrections = Path(folder) / "usage.parquet", Path(folder) / "corrections.parquet"
        export((tuple(row) for row in db.execute(f"SELECT {', '.join(COLUMNS)} FROM usage")), usage)  # noqa: S608
        export((_corrected(line) for line in lines if line.corrects), corrections, CORRECTED)
        return recompute(usage, prices, corrections)


def _corrected(line: Line) -> tuple[Any, ...]:
    fields = {**line.model_dump(mode="json"), "start_us": to_us(line.start)}
    return tuple(fields[name] for name in CORRECTED)


if __name__ == "__main__":
    book = PriceBook.model_validate_json(sys.stdin.read())
    sys.stdout.write(json.dumps(verified(Path(sys.argv[1]), book)))
