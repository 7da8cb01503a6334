"""The seven feature views: what each row is keyed by, when it counts from, and the SQL that computes it.

A flight counts from the moment its outcome was `known` (it landed; six hours after schedule when it was cancelled), so
no row holds anything from after its own timestamp. `created` is when a row reached us: one that comes late has a later
`created`, and training sets are joined on both. Files hold UTC in microseconds without a zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

FIRST = "TIMESTAMP '2013-01-01 00:00:00'"
LAST = "TIMESTAMP '2014-01-01 08:00:00'"


@dataclass(frozen=True, slots=True)
class View:
    """One feature view.

    Attributes:
        ttl: oldest row, by event timestamp, that still counts at a moment; None keeps every row.
        query: SELECT of join key, `event_timestamp`, features in order; tables are those of `SETUP`.
    """

    name: str
    join_key: str
    ttl: timedelta | None
    features: tuple[str, ...]
    query: str


# Shared by several views. `settled` buckets outcomes to the next half hour and to the next morning at 08:00Z.
SETUP = (
    """
    CREATE TEMP TABLE settled AS
    SELECT origin, carrier, route, tailnum, corridor, distance, sched_dep, dep, known, cancelled, dep_delay, arr_delay,
           air_time, elapsed, dep_delay > 15 AS late,
           time_bucket(INTERVAL 30 MINUTE, known - INTERVAL 1 MICROSECOND) + INTERVAL 30 MINUTE AS half_hour,
           time_bucket(INTERVAL 1 DAY, known - INTERVAL 8 HOUR - INTERVAL 1 MICROSECOND) + INTERVAL 32 HOUR AS morning
    FROM read_parquet('{data}/flights.parquet')
    """,
    f"""
    CREATE TEMP TABLE mornings AS
    SELECT unnest(generate_series({FIRST} + INTERVAL 32 HOUR, {LAST}, INTERVAL 1 DAY)) AS morning
    """,
    """
    CREATE TEMP TABLE route_days AS
    WITH daily AS (
        SELECT route, morning, count(*) AS flights, count(dep_delay) AS flown, count_if(cancelled) AS cancelled,
               count_if(late) AS late, sum(dep_delay) AS delay, sum(dep_delay * dep_delay) AS delay_squares,
               count(arr_delay) AS arrived, sum(arr_delay) AS arr_delay,
               sum(air_time) AS air_time, sum(elapsed) AS elapsed, sum(elapsed * elapsed) AS elapsed_squares
        FROM settled GROUP BY ALL
    ), grid AS (
        SELECT route, distance, morning, columns(d.* EXCLUDE (route, morning))
        FROM (SELECT route, max(distance) AS distance FROM settled GROUP BY route) CROSS JOIN mornings
        LEFT JOIN daily d USING (route, morning)
    )
    SELECT route, morning, distance,
           sum(flights) OVER week AS flights_7d, sum(flights) OVER month AS flights_28d,
           sum(late) OVER week / sum(flown) OVER week AS late_7d,
           sum(late) OVER month / sum(flown) OVER month AS late_28d,
           sum(delay) OVER week / sum(flown) OVER week AS delay_7d,
           sum(delay) OVER month / sum(flown) OVER month AS delay_28d,
           sqrt(greatest(0, sum(delay_squares) OVER month / sum(flown) OVER month
                - (sum(delay) OVER month / sum(flown) OVER month) ** 2)) AS spread_28d,
           sum(arr_delay) OVER week / sum(arrived) OVER week AS arr_delay_7d,
           sum(arr_delay) OVER month / sum(arrived) OVER month AS arr_delay_28d,
           sum(cancelled) OVER week / sum(flights) OVER week AS cancelled_7d,
           sum(cancelled) OVER month / sum(flights) OVER month AS cancelled_28d,
           sum(air_time) OVER week / sum(arrived) OVER week AS air_time_7d,
           sum(air_time) OVER month / sum(arrived) OVER month AS air_time_28d,
           sum(elapsed) OVER month / sum(arrived) OVER month AS elapsed_28d,
           sqrt(greatest(0, sum(elapsed_squares) OVER month / sum(arrived) OVER month
                - (sum(elapsed) OVER month / sum(arrived) OVER month) ** 2)) AS elapsed_spread_28d
    FROM grid
    WINDOW week AS (PARTITION BY route ORDER BY morning ROWS 6 PRECEDING),
           month AS (PARTITION BY route ORDER BY morning ROWS 27 PRECEDING)
    """,
)

WEATHER = """
    SELECT origin, observed + INTERVAL 1 HOUR AS event_timestamp, temp AS wx_temp, dewp AS wx_dewpoint,
           humid AS wx_humidity, wind_dir AS wx_wind_direction, wind_speed AS wx_wind_speed, wind_gust AS wx_wind_gust,
           precip AS wx_precipitation, pressure AS wx_pressure, visib AS wx_visibility
    FROM read_parquet('{data}/weather.parquet')
"""

# Overdue: past its schedule, not gone, not yet known to be cancelled; seen the moment it is so.
ORIGIN_OPS = f"""
    WITH arrived AS (
        SELECT origin, half_hour, count(*) AS flights, count(dep_delay) AS flown, count_if(late) AS late,
               sum(dep_delay) AS delay, count_if(cancelled) AS cancelled
        FROM settled GROUP BY ALL
    ), waiting AS (
        SELECT origin, sched_dep AS starts, least(coalesce(dep, known), sched_dep + INTERVAL 6 HOUR) AS ends
        FROM settled WHERE dep IS NULL OR dep > sched_dep
    ), steps AS (
        SELECT origin, starts AS moment, 1 AS step, epoch(starts) AS sched FROM waiting
        UNION ALL SELECT origin, ends, -1, -epoch(starts) FROM waiting
    ), changes AS (
        SELECT origin,
               time_bucket(INTERVAL 30 MINUTE, moment - INTERVAL 1 MICROSECOND) + INTERVAL 30 MINUTE AS half_hour,
               sum(step) AS step, sum(sched) AS sched
        FROM steps GROUP BY ALL
    ), grid AS (
        SELECT origin, half_hour, columns(a.* EXCLUDE (origin, half_hour)), step, sched
        FROM (SELECT DISTINCT origin FROM settled)
        CROSS JOIN (SELECT unnest(generate_series({FIRST}, {LAST}, INTERVAL 30 MINUTE)) AS half_hour)
        LEFT JOIN arrived a USING (origin, half_hour) LEFT JOIN changes USING (origin, half_hour)
    ), rolled AS (
        SELECT origin, half_hour, coalesce(sum(flights) OVER recent, 0) AS flights, sum(flown) OVER recent AS flown,
               sum(late) OVER recent AS late, sum(delay) OVER recent AS delay, sum(cancelled) OVER recent AS cancelled,
               coalesce(sum(step) OVER so_far, 0) AS overdue, coalesce(sum(sched) OVER so_far, 0) AS overdue_sched
        FROM grid
        WINDOW recent AS (PARTITION BY origin ORDER BY half_hour ROWS 3 PRECEDING),
               so_far AS (PARTITION BY origin ORDER BY half_hour)
    )
    SELECT origin, half_hour AS event_timestamp, flights AS ops_flights_2h, late / nullif(flown, 0) AS ops_late_2h,
           delay / nullif(flown, 0) AS ops_delay_2h, coalesce(cancelled, 0) AS ops_cancelled_2h,
           overdue AS ops_overdue, CASE WHEN overdue > 0
               THEN epoch(half_hour) / 60 - overdue_sched / 60 / overdue ELSE 0 END AS ops_overdue_minutes
    FROM rolled
"""  # noqa: S608

CARRIER_DAILY = """
    WITH daily AS (
        SELECT carrier, morning, count(*) AS flights, count(dep_delay) AS flown, count_if(late) AS late,
               sum(dep_delay) AS delay, count(arr_delay) AS arrived, sum(arr_delay) AS arr_delay,
               count_if(cancelled) AS cancelled
        FROM settled GROUP BY ALL
    ), grid AS (
        SELECT carrier, morning, columns(d.* EXCLUDE (carrier, morning))
        FROM (SELECT DISTINCT carrier FROM settled) CROSS JOIN mornings LEFT JOIN daily d USING (carrier, morning)
    )
    SELECT carrier, morning AS event_timestamp,
           sum(late) OVER week / sum(flown) OVER week AS carrier_late_7d,
           sum(late) OVER month / sum(flown) OVER month AS carrier_late_28d,
           sum(delay) OVER week / sum(flown) OVER week AS carrier_delay_7d,
           sum(delay) OVER month / sum(flown) OVER month AS carrier_delay_28d,
           sum(arr_delay) OVER week / sum(arrived) OVER week AS carrier_arr_delay_7d,
           sum(arr_delay) OVER month / sum(arrived) OVER month AS carrier_arr_delay_28d,
           sum(cancelled) OVER week / sum(flights) OVER week AS carrier_cancelled_7d,
           sum(cancelled) OVER month / sum(flights) OVER month AS carrier_cancelled_28d
    FROM grid
    WINDOW week AS (PARTITION BY carrier ORDER BY morning ROWS 6 PRECEDING),
           month AS (PARTITION BY carrier ORDER BY morning ROWS 27 PRECEDING)
"""

ROUTE_DAILY = """
    SELECT route, morning AS event_timestamp, distance AS route_distance, flights_7d AS route_flights_7d,
           flights_28d AS route_flights_28d, late_7d AS route_late_7d, late_28d AS route_late_28d,
           delay_7d AS route_delay_7d, delay_28d AS route_delay_28d, spread_28d AS route_spread_28d,
           arr_delay_7d AS route_arr_delay_7d, arr_delay_28d AS route_arr_delay_28d, cancelled_7d AS route_cancelled_7d,
           cancelled_28d AS route_cancelled_28d, air_time_7d AS route_air_time_7d, air_time_28d AS route_air_time_28d,
           elapsed_28d AS route_elapsed_28d, elapsed_spread_28d AS route_elapsed_spread_28d
    FROM route_days
"""

AIRCRAFT_STATE = """
    SELECT tailnum, known AS event_timestamp, dep_delay AS tail_last_dep_delay, arr_delay AS tail_last_arr_delay,
           count(*) OVER week AS tail_flights_7d, avg(late::INT) OVER week AS tail_late_7d,
           sum(late::INT) OVER week AS tail_late_count_7d, avg(dep_delay) OVER week AS tail_delay_7d,
           count(*) OVER month AS tail_flights_28d, avg(late::INT) OVER month AS tail_late_28d,
           avg(dep_delay) OVER month AS tail_delay_28d
    FROM settled WHERE tailnum IS NOT NULL AND NOT cancelled
    WINDOW week AS (PARTITION BY tailnum ORDER BY known RANGE BETWEEN INTERVAL 7 DAY PRECEDING AND CURRENT ROW),
           month AS (PARTITION BY tailnum ORDER BY known RANGE BETWEEN INTERVAL 28 DAY PRECEDING AND CURRENT ROW)
    QUALIFY row_number() OVER (PARTITION BY tailnum, known ORDER BY sched_dep DESC) = 1
"""

AIRCRAFT_PROFILE = """
    SELECT tailnum, TIMESTAMP '2013-01-01 00:00:00' AS event_timestamp, seats AS profile_seats,
           engines AS profile_engines, 2013 - built AS profile_age, (engine = 'Turbo-fan')::INT AS profile_turbofan
    FROM read_parquet('{data}/planes.parquet')
"""

# How much longer flights of a corridor took than their route's month before, as known each hour: mostly wind aloft.
CORRIDOR = f"""
    WITH deviations AS (
        SELECT s.corridor, s.air_time / r.air_time_28d - 1 AS deviation,
               time_bucket(INTERVAL 1 HOUR, s.known - INTERVAL 1 MICROSECOND) + INTERVAL 1 HOUR AS full_hour
        FROM settled s ASOF JOIN route_days r ON s.route = r.route AND s.dep > r.morning
        WHERE s.air_time IS NOT NULL AND r.air_time_28d IS NOT NULL
    ), hourly AS (
        SELECT corridor, full_hour, count(*) AS flights, sum(deviation) AS deviation FROM deviations GROUP BY ALL
    ), grid AS (
        SELECT corridor, full_hour, flights, deviation
        FROM (SELECT DISTINCT corridor FROM settled)
        CROSS JOIN (SELECT unnest(generate_series({FIRST}, {LAST}, INTERVAL 1 HOUR)) AS full_hour)
        LEFT JOIN hourly USING (corridor, full_hour)
    )
    SELECT corridor, full_hour AS event_timestamp,
           sum(deviation) OVER half_day / sum(flights) OVER half_day AS corridor_deviation_12h,
           sum(deviation) OVER longer / sum(flights) OVER longer AS corridor_deviation_36h
    FROM grid
    WINDOW half_day AS (PARTITION BY corridor ORDER BY full_hour ROWS 11 PRECEDING),
           longer AS (PARTITION BY corridor ORDER BY full_hour ROWS 35 PRECEDING)
    QUALIFY corridor_deviation_36h IS NOT NULL
"""  # noqa: S608


def _view(name: str, join_key: str, ttl: timedelta | None, features: str, query: str) -> View:
    return View(name, join_key, ttl, tuple(features.split()), query)


VIEWS: tuple[View, ...] = (
    _view(
        "weather",
        "origin",
        timedelta(hours=6),
        "wx_temp wx_dewpoint wx_humidity wx_wind_direction wx_wind_speed wx_wind_gust wx_precipitation wx_pressure "
        "wx_visibility",
        WEATHER,
    ),
    _view(
        "origin_ops",
        "origin",
        timedelta(hours=6),
        "ops_flights_2h ops_late_2h ops_delay_2h ops_cancelled_2h ops_overdue ops_overdue_minutes",
        ORIGIN_OPS,
    ),
    _view(
        "carrier_daily",
        "carrier",
        timedelta(days=3),
        "carrier_late_7d carrier_late_28d carrier_delay_7d carrier_delay_28d carrier_arr_delay_7d "
        "carrier_arr_delay_28d carrier_cancelled_7d carrier_cancelled_28d",
        CARRIER_DAILY,
    ),
    _view(
        "route_daily",
        "route",
        timedelta(days=3),
        "route_distance route_flights_7d route_flights_28d route_late_7d route_late_28d route_delay_7d route_delay_28d "
        "route_spread_28d route_arr_delay_7d route_arr_delay_28d route_cancelled_7d route_cancelled_28d "
        "route_air_time_7d route_air_time_28d route_elapsed_28d route_elapsed_spread_28d",
        ROUTE_DAILY,
    ),
    _view(
        "aircraft_state",
        "tailnum",
        timedelta(days=28),
        "tail_last_dep_delay tail_last_arr_delay tail_flights_7d tail_late_7d tail_late_count_7d tail_delay_7d "
        "tail_flights_28d tail_late_28d tail_delay_28d",
        AIRCRAFT_STATE,
    ),
    _view(
        "aircraft_profile",
        "tailnum",
        None,
        "profile_seats profile_engines profile_age profile_turbofan",
        AIRCRAFT_PROFILE,
    ),
    _view("corridor", "corridor", timedelta(days=2), "corridor_deviation_12h corridor_deviation_36h", CORRIDOR),
)


def view(name: str) -> View:
    """The view of that name; KeyError otherwise."""
    for candidate in VIEWS:
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def path(data: Path, name: str) -> Path:
    """Where a view's history lies."""
    return data / "views" / f"{name}.parquet"


def build(data: Path) -> None:
    """Compute every view from the typed Parquet files in `data`; writes `views/<view>.parquet` below them."""
    (data / "views").mkdir(exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        for statement in SETUP:
            connection.execute(statement.format(data=data))
        for each in VIEWS:
            connection.execute(_copy(each, data))


def _copy(each: View, data: Path) -> str:
    features = ", ".join(f"round({name}::DOUBLE, 4) AS {name}" for name in each.features)
    return f"""
        COPY (SELECT {each.join_key}, event_timestamp, event_timestamp AS created, {features}
              FROM ({each.query.format(data=data)}) ORDER BY event_timestamp, {each.join_key})
        TO '{path(data, each.name)}' (FORMAT parquet, COMPRESSION zstd)
    """  # noqa: S608
