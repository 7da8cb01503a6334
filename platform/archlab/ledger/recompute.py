"""The bill a second time: SQL over the exported raw records, sharing no code with `archlab.ledger.lines`.

DuckDB computes in 128-bit integers, so the total must equal the first path's to the last nano-dollar.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from archlab.spec.base import NanoUsd
from archlab.spec.money import PriceBook

_PRICES = """
CREATE TABLE prices (
  resource VARCHAR, effective_us BIGINT, nanousd BIGINT, per BIGINT, PRIMARY KEY (resource, effective_us)
)
"""

_TOTAL = """
WITH raw AS (
  SELECT DISTINCT ON (id) * FROM read_parquet($usage)
), priced AS (
  SELECT raw.*, price.nanousd, price.per
  FROM raw ASOF LEFT JOIN prices AS price
    ON raw.resource = price.resource AND raw.start_us >= price.effective_us
), taken AS (
  SELECT quantity, nanousd, per FROM priced WHERE kind = 'consumed'
), held AS (
  SELECT
    coalesce(sum(quantity) FILTER (kind = 'reserved'), 0) AS reserved,
    coalesce(sum(quantity) FILTER (kind = 'used'), 0) AS used,
    any_value(nanousd) AS nanousd, any_value(per) AS per
  FROM priced WHERE kind <> 'consumed'
  GROUP BY start_us, end_us, team, model, mode, unit, resource
), billed AS (
  SELECT quantity, nanousd, per FROM taken
  UNION ALL SELECT least(used, reserved), nanousd, per FROM held
  UNION ALL SELECT reserved - least(used, reserved), nanousd, per FROM held
), product AS (
  SELECT quantity::HUGEINT * nanousd::HUGEINT AS amount, per::HUGEINT AS per FROM billed
), halves AS (
  SELECT amount // per AS whole, 2 * (amount % per) AS twice, per FROM product
)
SELECT
  coalesce(sum(whole + CASE WHEN twice > per THEN 1 WHEN twice = per THEN whole % 2 ELSE 0 END), 0)::VARCHAR AS total,
  (SELECT count(*) FROM priced WHERE nanousd IS NULL) AS unpriced
FROM halves
"""

COLUMNS = ("id", "start_us", "end_us", "team", "model", "mode", "unit", "resource", "kind", "quantity")
"""Columns of the exported records; times in microseconds since 1970, UTC."""


def export(rows: Iterable[tuple[Any, ...]], path: Path) -> None:
    """Write raw usage records, in the order of `COLUMNS`, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    integer = {"start_us", "end_us", "quantity"}
    schema = pa.schema([(name, pa.int64() if name in integer else pa.string()) for name in COLUMNS])
    values = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    pq.write_table(pa.table([pa.array(v, f.type) for v, f in zip(values, schema, strict=True)], schema=schema), path)


def recompute(usage: Path, prices: PriceBook) -> NanoUsd:
    """Total of the bill over exported records.

    Raises:
        LookupError: a record's resource has no price in effect at its start.
    """
    import duckdb

    with duckdb.connect(config={"threads": 1, "memory_limit": "256MB"}) as db:
        db.execute(_PRICES)
        book = [(p.resource.value, p.effective.isoformat(), p.nanousd, p.per) for p in prices.prices]
        if book:
            db.executemany("INSERT OR IGNORE INTO prices VALUES (?, epoch_us(?::TIMESTAMPTZ), ?, ?)", book)
        total, unpriced = db.execute(_TOTAL, {"usage": str(usage)}).fetchone()
    if unpriced:
        raise LookupError(f"{unpriced} usage records have no price in effect at their start")
    return int(total)
