"""The bill a second time: SQL over the exported raw records, sharing no code with `archlab.ledger.lines`.

DuckDB computes in 128-bit integers, so every line must equal the first path's to the last nano-dollar.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from archlab.spec.base import NanoUsd
from archlab.spec.money import FREE_UNLESS_PRICED, PriceBook

_PRICES = """
CREATE TABLE prices (
  resource VARCHAR, purchase VARCHAR, effective_us BIGINT, nanousd BIGINT, per BIGINT,
  PRIMARY KEY (resource, purchase, effective_us)
)
"""

_BOOK = """
INSERT OR IGNORE INTO prices SELECT resource, purchase, epoch_us(effective::TIMESTAMPTZ), nanousd, per FROM (
  SELECT unnest($resource) AS resource, unnest($purchase) AS purchase, unnest($effective) AS effective,
    unnest($nanousd) AS nanousd, unnest($per) AS per
)
"""

_LINES = """
WITH raw AS (
  SELECT DISTINCT ON (id) * FROM read_parquet($usage)
), held AS (
  SELECT
    start_us, end_us, team, model, mode, unit, resource,
    sum(quantity) FILTER (kind = 'reserved') AS reserved,
    least(coalesce(sum(quantity) FILTER (kind = 'used'), 0), sum(quantity) FILTER (kind = 'reserved')) AS used,
    min(id) FILTER (kind = 'reserved') AS holder,
    coalesce(min(id) FILTER (kind = 'used'), min(id) FILTER (kind = 'reserved')) AS user_,
    arg_min(purchase, id) FILTER (kind = 'reserved') AS purchase,
    arg_min(commitment, id) FILTER (kind = 'reserved') AS commitment,
    arg_min(reason, id) FILTER (kind = 'reserved') AS holder_reason,
    coalesce(arg_min(reason, id) FILTER (kind = 'used'), arg_min(reason, id) FILTER (kind = 'reserved')) AS user_reason
  FROM raw WHERE kind IN ('reserved', 'used')
  GROUP BY start_us, end_us, team, model, mode, unit, resource
  HAVING count(*) FILTER (kind = 'reserved') > 0
), promised AS (
  SELECT
    start_us, end_us, resource, commitment, sum(quantity) AS size,
    min(id) AS id, arg_min(team, id) AS team, arg_min(model, id) AS model, arg_min(reason, id) AS reason
  FROM raw WHERE kind = 'committed'
  GROUP BY start_us, end_us, resource, commitment
), queued AS (
  SELECT
    held.*, coalesce(promised.size, 0) AS size,
    coalesce(sum(held.reserved) OVER (
      PARTITION BY held.start_us, held.end_us, held.resource, held.purchase, held.commitment
      ORDER BY held.team, held.model, held.mode, held.unit ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS before
  FROM held LEFT JOIN promised USING (start_us, end_us, resource, commitment)
), drawn AS (
  SELECT
    *, CASE WHEN purchase = 'reserved' THEN least(reserved, greatest(0, size - before)) ELSE 0 END AS covered,
    CASE WHEN purchase = 'reserved' THEN 'on_demand' ELSE purchase END AS beyond,
    CASE WHEN model = '' THEN 'shared' ELSE 'used' END AS in_use
  FROM queued
), pieces AS (
  SELECT id AS usage_id, CASE WHEN model = '' THEN 'shared' ELSE 'used' END AS kind, purchase,
    start_us, end_us, team, model, resource, reason, quantity, true AS always
  FROM raw WHERE kind = 'consumed'
  UNION ALL
  SELECT user_, in_use, 'reserved', start_us, end_us, team, model, resource, user_reason, least(used, covered), false
  FROM drawn
  UNION ALL
  SELECT user_, in_use, beyond, start_us, end_us, team, model, resource, user_reason, used - least(used, covered), false
  FROM drawn
  UNION ALL
  SELECT holder, 'idle', 'reserved', start_us, end_us, team, model, resource, holder_reason,
    covered - least(used, covered), false
  FROM drawn
  UNION ALL
  SELECT holder, 'idle', beyond, start_us, end_us, team, model, resource, holder_reason,
    reserved - greatest(used, covered), false
  FROM drawn
  UNION ALL
  SELECT id, CASE WHEN team IN ('platform', '') THEN 'shared' ELSE 'idle' END, 'reserved',
    start_us, end_us, team, model, resource, reason,
    size - coalesce((
      SELECT sum(covered) FROM drawn
      WHERE drawn.purchase = 'reserved' AND drawn.commitment = promised.commitment
        AND drawn.resource = promised.resource AND drawn.start_us = promised.start_us
        AND drawn.end_us = promised.end_us
    ), 0), false
  FROM promised
), numbered AS (
  SELECT row_number() OVER () AS number, *, CASE
    WHEN reason <> '' THEN 'unallocated'
    WHEN kind = 'shared' OR (model = '' AND team = 'platform') THEN 'shared'
    WHEN kind = 'idle' THEN 'idle' ELSE 'showback' END AS section
  FROM pieces WHERE always OR quantity > 0
), edges AS (
  SELECT number, start_us AS from_us FROM numbered
  UNION
  SELECT number, effective_us FROM numbered JOIN prices USING (resource, purchase)
  WHERE effective_us > start_us AND effective_us < end_us
), slices AS (
  SELECT numbered.*, from_us, coalesce(lead(from_us) OVER (PARTITION BY number ORDER BY from_us), end_us) AS until_us
  FROM edges JOIN numbered USING (number)
), parts AS (
  SELECT *, CASE WHEN end_us = start_us THEN quantity::HUGEINT ELSE
    quantity::HUGEINT * (until_us - start_us) // (end_us - start_us)
    - quantity::HUGEINT * (from_us - start_us) // (end_us - start_us) END AS part
  FROM slices
), priced AS (
  SELECT
    parts.*,
    CASE WHEN price.nanousd IS NULL AND list_contains($free, parts.resource) THEN 0 ELSE price.nanousd END AS nanousd,
    coalesce(price.per, 1) AS per
  FROM parts ASOF LEFT JOIN prices AS price
    ON parts.resource = price.resource AND parts.purchase = price.purchase AND parts.from_us >= price.effective_us
), halves AS (
  SELECT *, part * nanousd::HUGEINT // per AS whole, 2 * (part * nanousd::HUGEINT % per) AS twice FROM priced
)
SELECT
  usage_id, CASE WHEN reason <> '' THEN 'unallocated' ELSE kind END, purchase, from_us, section,
  (whole + CASE WHEN twice > per THEN 1 WHEN twice = per THEN whole % 2 ELSE 0 END)::VARCHAR
FROM halves
"""

_CORRECTIONS = """
SELECT usage_id, kind, purchase, start_us, CASE
    WHEN kind = 'unallocated' THEN 'unallocated'
    WHEN kind = 'shared' OR (model = '' AND team = 'platform') THEN 'shared'
    WHEN kind = 'idle' THEN 'idle' ELSE 'showback' END, cost_nanousd::VARCHAR
FROM read_parquet($corrections)
"""

COLUMNS = (
    *("id", "start_us", "end_us", "team", "model", "mode", "unit", "resource", "kind", "quantity"),
    *("purchase", "commitment", "reason"),
)
"""Columns of the exported records; times in microseconds since 1970, UTC."""
CORRECTED = ("usage_id", "start_us", "team", "model", "kind", "purchase", "cost_nanousd")
"""Columns of the exported corrections."""
_INTEGERS = frozenset({"start_us", "end_us", "quantity", "cost_nanousd"})


class Key(NamedTuple):
    """What names a line on both paths."""

    usage_id: str
    kind: str
    purchase: str
    start_us: int


@dataclass(frozen=True, slots=True)
class Recomputation:
    """The bill by the second path: the cost of every line, and of the four parts."""

    lines: Mapping[Key, NanoUsd] = field(default_factory=dict)
    sections: Mapping[str, NanoUsd] = field(default_factory=dict)

    @property
    def total(self) -> NanoUsd:
        """Of all lines."""
        return sum(self.lines.values())


def export(rows: Iterable[tuple[Any, ...]], path: Path, columns: tuple[str, ...] = COLUMNS) -> None:
    """Write raw usage records, or corrections, in the order of their columns, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.int64() if name in _INTEGERS else pa.string()) for name in columns])
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    pq.write_table(pa.table([pa.array(v, f.type) for v, f in zip(values, schema, strict=True)], schema=schema), path)


def recompute(usage: Path, prices: PriceBook, corrections: Path | None = None) -> Recomputation:
    """The bill over exported records.

    Raises:
        LookupError: a record's resource has no price in effect at its start.
    """
    import duckdb

    listed = [price.model_dump(mode="json") for price in prices.prices]
    book = {name: [price[name] for price in listed] for name in ("resource", "purchase", "effective", "nanousd", "per")}
    free = [resource.value for resource in FREE_UNLESS_PRICED]
    with duckdb.connect(config={"threads": 1, "memory_limit": "256MB"}) as db:
        db.execute(_PRICES)
        if listed:
            db.execute(_BOOK, book)
        found = db.execute(_LINES, {"usage": str(usage), "free": free}).fetchall()
        if corrections is not None:
            found += db.execute(_CORRECTIONS, {"corrections": str(corrections)}).fetchall()
    if unpriced := len({usage_id for usage_id, *_, cost in found if cost is None}):
        raise LookupError(f"{unpriced} usage records have no price in effect at their start")
    lines: dict[Key, NanoUsd] = {}
    sections: dict[str, NanoUsd] = defaultdict(int)
    for usage_id, kind, purchase, start_us, section, cost in found:
        key = Key(usage_id, kind, purchase, start_us)
        lines[key] = lines.get(key, 0) + int(cost)
        sections[section] += int(cost)
    return Recomputation(lines, dict(sections))
