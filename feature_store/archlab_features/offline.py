"""One view as it stood at a moment, read from the offline files: what a batch run sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import duckdb

from archlab_features.views import path, view


@dataclass(frozen=True, slots=True)
class AsOf:
    """The newest row per key, no older than the view's TTL."""

    join_key: str
    columns: dict[str, int]
    rows: dict[str, tuple[float | None, ...]]

    def value(self, key: str, feature: str) -> float:
        """One feature of one key; NaN when there is none."""
        row = self.rows.get(key)
        found = None if row is None else row[self.columns[feature]]
        return math.nan if found is None else found


def as_of(data: Path, name: str, when: datetime) -> AsOf:
    """The view at `when`: rows whose event and arrival are not after it.

    Raises:
        KeyError: there is no such view.
    """
    chosen = view(name)
    moment = when.astimezone(UTC).replace(tzinfo=None)
    oldest = moment - chosen.ttl if chosen.ttl else datetime.min
    features = ", ".join(chosen.features)
    query = f"""
        SELECT {chosen.join_key}, {features} FROM {name}
        WHERE event_timestamp <= $moment AND created <= $moment AND event_timestamp >= $oldest
        QUALIFY row_number() OVER (PARTITION BY {chosen.join_key} ORDER BY event_timestamp DESC, created DESC) = 1
    """  # noqa: S608
    found = _loaded(data, name).execute(query, {"moment": moment, "oldest": oldest}).fetchall()
    return AsOf(
        join_key=chosen.join_key,
        columns={feature: index for index, feature in enumerate(chosen.features)},
        rows={str(row[0]): row[1:] for row in found},
    )


@cache
def _loaded(data: Path, name: str) -> duckdb.DuckDBPyConnection:
    """A connection that holds the view's history in memory: a job asks for many moments."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
    connection.execute(f"CREATE TABLE {name} AS FROM read_parquet('{path(data, name)}')")
    return connection
