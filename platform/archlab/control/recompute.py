"""`python -m archlab.control.recompute CONTROL_DB < price book`: the bill's total by the second path."""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from pathlib import Path

from archlab.ledger.recompute import COLUMNS, export, recompute
from archlab.spec.base import NanoUsd
from archlab.spec.money import PriceBook


def total(database: Path, prices: PriceBook) -> NanoUsd:
    """Export the raw usage records, and bill them in SQL."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "usage.parquet"
        db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            export(db.execute(f"SELECT {', '.join(COLUMNS)} FROM usage"), path)  # noqa: S608
        finally:
            db.close()
        return recompute(path, prices)


if __name__ == "__main__":
    prices = PriceBook.model_validate_json(sys.stdin.read())
    sys.stdout.write(json.dumps({"total_nanousd": total(Path(sys.argv[1]), prices)}))
