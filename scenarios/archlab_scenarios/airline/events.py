"""SQL for what happens to the airline: moments at which callers ask, what they know then, and what comes of it.

Training sets, requests and labels all read from here, so that a column means the same in each. Every query yields one
row per subject with its request columns, and for each model that asks about such subjects `actual_MODEL` (NULL where
the question does not arise) and `baseline_MODEL` (what the simple rule of the model's card says).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import duckdb

CUTOFF = datetime(2013, 10, 1)
"""Models and fixed baselines learn from what was scheduled before; UTC without a zone, as in the files."""

FLIGHT_MODELS = (
    "departure-delay",
    "missed-connection",
    "cancellation-risk",
    "arrival-delay",
    "flight-time",
    "delay-recovery",
    "block-time-buffer",
)

READS = ("flights.parquet", "views/carrier_daily.parquet", "views/route_daily.parquet", "views/aircraft_state.parquet")
"""Files below the data's folder that the queries see, and no others."""

_LATE = "cancelled OR dep_delay > 15"

# What the fixed baselines know: the past up to CUTOFF, as small tables.
_FIXED = (
    """
    CREATE TEMP TABLE by_origin_hour AS
    SELECT origin, minute_of_day // 60 AS hour, avg((dep_delay > 15)::INT) AS late,
           avg((arr_delay >= 45)::INT) AS missed
    FROM flights WHERE sched_dep < '{cutoff}' GROUP BY ALL
    """,
    """
    CREATE TEMP TABLE by_route AS
    SELECT route, quantile_cont(elapsed, 0.8) AS elapsed_p80 FROM flights WHERE sched_dep < '{cutoff}' GROUP BY ALL
    """,
    """
    CREATE TEMP TABLE overall AS
    SELECT avg(arr_delay - dep_delay) AS made_up, avg((dep_delay > 15)::INT) AS late,
           avg((arr_delay >= 45)::INT) AS missed
    FROM flights WHERE sched_dep < '{cutoff}'
    """,
    """
    CREATE TEMP TABLE by_slot AS
    SELECT origin, minute_of_day, avg(late) AS late
    FROM ({slots}) WHERE asked < '{cutoff}' AND sched_count > 0 GROUP BY ALL
    """,
)

_SLOTS = f"""
    SELECT origin, half_hour AS asked,
           (extract(hour FROM local) * 60 + extract(minute FROM local))::DOUBLE AS minute_of_day,
           coalesce(sum(scheduled) OVER ahead, 0)::DOUBLE AS sched_count,
           coalesce(sum(late) OVER ahead, 0)::DOUBLE AS late
    FROM (
        SELECT origin, half_hour, half_hour AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York' AS local, scheduled, late
        FROM (VALUES ('EWR'), ('JFK'), ('LGA')) airport(origin)
        CROSS JOIN (
            SELECT unnest(generate_series({{since}}, {{until}} + INTERVAL 2 HOUR, INTERVAL 30 MINUTE)) AS half_hour
        )
        LEFT JOIN (
            SELECT origin, count(*) AS scheduled, count_if({_LATE}) AS late,
                   time_bucket(INTERVAL 30 MINUTE, sched_dep - INTERVAL 1 MICROSECOND) + INTERVAL 30 MINUTE AS half_hour
            FROM flights WHERE sched_dep > {{since}} AND sched_dep <= {{until}} + INTERVAL 2 HOUR GROUP BY ALL
        ) USING (origin, half_hour)
    )
    WINDOW ahead AS (PARTITION BY origin ORDER BY half_hour ROWS BETWEEN 1 FOLLOWING AND 4 FOLLOWING)
"""  # noqa: S608


def connect(data: Path) -> duckdb.DuckDBPyConnection:
    """A connection that sees the typed files and views under `data`, with the fixed baselines computed (0.3 s)."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_object_cache = true")
    for name in READS:
        connection.execute(f"CREATE TEMP VIEW {Path(name).stem} AS FROM read_parquet('{data}/{name}')")
    year = _SLOTS.format(since="TIMESTAMP '2013-01-01 06:00:00'", until=f"TIMESTAMP '{CUTOFF}'")
    for statement in _FIXED:
        connection.execute(statement.format(cutoff=CUTOFF, slots=year))
    return connection


def flights(column: str, since: datetime, until: datetime, where: str = "true") -> str:
    """Flights whose `column` (sched_dep, dep or known) lies in (since, until], in its order.

    Baselines from daily views are taken an hour before scheduled departure.
    """
    return f"""
        WITH chosen AS (
            SELECT *, sched_dep - INTERVAL 1 HOUR AS moment FROM flights
            WHERE {column} > '{since}' AND {column} <= '{until}' AND ({where})
        ), recent_carrier AS (
            SELECT carrier, event_timestamp, carrier_cancelled_28d FROM carrier_daily
            WHERE event_timestamp > TIMESTAMP '{since}' - INTERVAL 3 DAY AND event_timestamp <= '{until}'
        ), recent_route AS (
            SELECT route, event_timestamp, route_air_time_28d FROM route_daily
            WHERE event_timestamp > TIMESTAMP '{since}' - INTERVAL 3 DAY AND event_timestamp <= '{until}'
        )
        SELECT flight_id, c.origin, c.carrier, c.route, tailnum, corridor, sched_dep, dep, known,
               minute_of_day, weekday, distance, block, dep_delay,
               (dep_delay > 15)::DOUBLE AS "actual_departure-delay",
               coalesce(h.late, o.late) AS "baseline_departure-delay",
               (arr_delay >= 45)::DOUBLE AS "actual_missed-connection",
               coalesce(h.missed, o.missed) AS "baseline_missed-connection",
               cancelled::DOUBLE AS "actual_cancellation-risk", k.carrier_cancelled_28d AS "baseline_cancellation-risk",
               arr_delay AS "actual_arrival-delay", dep_delay + o.made_up AS "baseline_arrival-delay",
               air_time AS "actual_flight-time", r.route_air_time_28d AS "baseline_flight-time",
               CASE WHEN dep_delay BETWEEN 15 AND 60 THEN (arr_delay < 15)::DOUBLE END AS "actual_delay-recovery",
               1 - dep_delay / 60 AS "baseline_delay-recovery",
               elapsed AS "actual_block-time-buffer", coalesce(p.elapsed_p80, block) AS "baseline_block-time-buffer"
        FROM chosen c
        CROSS JOIN overall o
        LEFT JOIN by_origin_hour h ON h.origin = c.origin AND h.hour = c.minute_of_day // 60
        LEFT JOIN by_route p ON p.route = c.route
        ASOF LEFT JOIN recent_carrier k ON k.carrier = c.carrier AND c.moment >= k.event_timestamp
        ASOF LEFT JOIN recent_route r ON r.route = c.route AND c.moment >= r.event_timestamp
        ORDER BY c.{column}, flight_id
    """  # noqa: S608


def slots(since: datetime, until: datetime) -> str:
    """Half hours in (since, until] (both full half hours) and airports with departures in the two hours that follow."""
    inner = _SLOTS.format(since=f"TIMESTAMP '{since}'", until=f"TIMESTAMP '{until}'")
    return f"""
        SELECT s.origin, s.asked, strftime(s.asked, '%Y-%m-%dT%H:%MZ') AS slot, s.minute_of_day, s.sched_count,
               s.asked + INTERVAL 135 MINUTE AS known, s.late AS "actual_airport-congestion",
               coalesce(b.late, 0) AS "baseline_airport-congestion"
        FROM ({inner}) s LEFT JOIN by_slot b USING (origin, minute_of_day)
        WHERE s.asked > '{since}' AND s.asked <= '{until}' AND s.sched_count > 0
        ORDER BY s.asked, s.origin
    """  # noqa: S608


def aircraft(since: datetime, until: datetime, at: timedelta, seen_days: int = 1) -> str:
    """Aircraft that landed in the days before `at` o'clock, for each such moment in (since, until]."""
    seen_at, left_at = _daily("known", at), _daily("sched_dep", at)
    return f"""
        WITH seen AS (
            SELECT DISTINCT tailnum, unnest(generate_series(first_day, first_day + INTERVAL {seen_days - 1} DAY,
                                                            INTERVAL 1 DAY)) AS asked
            FROM (
                SELECT tailnum, {seen_at} AS first_day FROM flights
                WHERE known > TIMESTAMP '{since}' - INTERVAL {seen_days} DAY AND known <= '{until}'
                      AND tailnum IS NOT NULL AND NOT cancelled
            )
        ), late AS (
            SELECT tailnum, {left_at} AS day, count(*) AS late FROM flights
            WHERE dep_delay > 15 AND sched_dep > '{since}' AND sched_dep <= TIMESTAMP '{until}' + INTERVAL 8 DAY
            GROUP BY ALL
        ), state AS (
            SELECT tailnum, event_timestamp, tail_late_count_7d FROM aircraft_state
            WHERE event_timestamp > TIMESTAMP '{since}' - INTERVAL {seen_days + 1} DAY AND event_timestamp <= '{until}'
        ), outcome AS (
            SELECT s.tailnum, s.asked, coalesce(sum(l.late), 0) AS late
            FROM seen s
            LEFT JOIN late l ON l.tailnum = s.tailnum AND l.day > s.asked AND l.day <= s.asked + INTERVAL 7 DAY
            WHERE s.asked > '{since}' AND s.asked <= '{until}' GROUP BY ALL
        )
        SELECT o.tailnum, o.asked, o.asked + INTERVAL 7 DAY AS known,
               (o.late >= 2)::DOUBLE AS "actual_aircraft-reliability",
               coalesce(state.tail_late_count_7d, 0) AS "baseline_aircraft-reliability"
        FROM outcome o ASOF LEFT JOIN state ON state.tailnum = o.tailnum AND o.asked >= state.event_timestamp
        ORDER BY o.asked, o.tailnum
    """  # noqa: S608


def routes(since: datetime, until: datetime, at: timedelta, every_days: int = 1) -> str:
    """Routes flown in the 28 days before `at` o'clock, for each such moment in (since, until]."""
    seen_at, left_at = _daily("known", at), _daily("sched_dep", at)
    return f"""
        WITH moments AS (
            SELECT moment AS asked FROM (SELECT unnest(generate_series(
                {_daily(f"TIMESTAMP '{since}' + INTERVAL 1 MICROSECOND", at)}, TIMESTAMP '{until}',
                INTERVAL {every_days} DAY)) AS moment)
        ), seen AS (
            SELECT route, any_value(origin) AS origin, {seen_at} AS day FROM flights
            WHERE known > TIMESTAMP '{since}' - INTERVAL 28 DAY AND known <= '{until}' GROUP BY ALL
        ), left_late AS (
            SELECT route, {left_at} AS day, count_if(dep_delay > 15) AS late, count(dep_delay) AS flown FROM flights
            WHERE sched_dep > '{since}' AND sched_dep <= TIMESTAMP '{until}' + INTERVAL 8 DAY GROUP BY ALL
        ), asked AS (
            SELECT route, any_value(origin) AS origin, asked FROM moments
            JOIN seen ON day <= asked AND day > asked - INTERVAL 28 DAY GROUP BY ALL
        )
        SELECT a.route, a.origin, a.asked, a.asked + INTERVAL 7 DAY AS known,
               (sum(late) / nullif(sum(flown), 0))::DOUBLE AS "actual_route-segments",
               CASE a.origin WHEN 'EWR' THEN 0 WHEN 'JFK' THEN 1 ELSE 2 END::DOUBLE AS "baseline_route-segments"
        FROM asked a
        LEFT JOIN left_late l ON l.route = a.route AND l.day > a.asked AND l.day <= a.asked + INTERVAL 7 DAY
        GROUP BY ALL ORDER BY a.asked, a.route
    """  # noqa: S608


def _daily(moment: str, at: timedelta) -> str:
    """SQL: the first `at` o'clock that is not before a moment."""
    seconds = int(at.total_seconds())
    return (
        f"time_bucket(INTERVAL 1 DAY, {moment} - INTERVAL {seconds} SECOND - INTERVAL 1 MICROSECOND)"
        f" + INTERVAL 1 DAY + INTERVAL {seconds} SECOND"
    )
