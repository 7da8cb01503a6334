from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from archlab_scenarios.airline import ingest


def one(query: str) -> tuple[Any, ...]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        row = connection.execute(query).fetchone()
    assert row is not None
    return tuple(row)


def test_every_departure_of_the_year_once(data: Path) -> None:
    query = f"""SELECT count(*), count(DISTINCT flight_id), count_if(cancelled), count_if(flight_id LIKE '%|%')
                FROM '{data}/flights.parquet'"""
    assert one(query) == (336_776, 336_776, 8_255, 0)


@pytest.mark.parametrize(("table", "rows"), [("weather", 26_115), ("planes", 3_322), ("airports", 1_458)])
def test_the_other_tables_are_whole(table: str, rows: int, data: Path) -> None:
    assert one(f"SELECT count(*) FROM '{data}/{table}.parquet'") == (rows,)


def test_timestamps_are_microseconds(data: Path) -> None:
    with duckdb.connect() as connection:
        kinds = {row[0]: row[1] for row in connection.execute(f"DESCRIBE FROM '{data}/flights.parquet'").fetchall()}
    assert {kinds[name] for name in ("sched_dep", "sched_arr", "dep", "arr", "known")} == {"TIMESTAMP"}


def test_arrivals_agree_with_the_clocks_at_the_destination(data: Path) -> None:
    """Delay and clock time are separate columns of the source; they must meet in UTC."""
    seen, agreeing = one(f"""
        SELECT count(*), count_if(f.block BETWEEN 30 AND 720) FROM '{data}/flights.parquet' f
    """)
    assert agreeing / seen > 0.999
    west, east = one(f"""
        SELECT median(block - air_time) FILTER (dest = 'LAX'), median(block - air_time) FILTER (dest = 'SJU')
        FROM '{data}/flights.parquet'
    """)
    assert 20 < west < 60
    assert 20 < east < 60


def test_outcomes_are_known_when_they_happen(data: Path) -> None:
    query = f"""
        SELECT count_if(known IS NULL), count_if(known < dep), count_if(arr IS NOT NULL AND known <> arr),
               count_if(cancelled AND known <> sched_dep + INTERVAL 6 HOUR),
               count_if(cancelled AND dep_delay IS NOT NULL)
        FROM '{data}/flights.parquet'
    """
    assert one(query) == (0, 0, 0, 0, 0)


def test_writing_again_gives_the_same_rows(data: Path, tmp_path: Path) -> None:
    ingest.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "airports.parquet",
        "flights.parquet",
        "planes.parquet",
        "weather.parquet",
    ]
    for table in ingest.TABLES:
        assert one(
            f"SELECT count(*) FROM (FROM '{tmp_path}/{table}.parquet' EXCEPT ALL FROM '{data}/{table}.parquet')"
        ) == (0,)
