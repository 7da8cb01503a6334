from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from archlab_features import views

MOMENT = "2013-07-01 21:00:00"
"""The evening of a day with many delays."""


@pytest.fixture(scope="module")
def as_known(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same views, computed by somebody who at MOMENT knows nothing that came later."""
    folder = tmp_path_factory.mktemp("as-known")
    shutil.copy(data / "planes.parquet", folder)
    hidden = ", ".join(
        f"CASE WHEN known <= '{MOMENT}' THEN {name} END AS {name}"
        for name in ("arr", "dep_delay", "arr_delay", "air_time", "elapsed", "cancelled")
    )
    with duckdb.connect() as connection:
        connection.execute(f"""
            COPY (SELECT * REPLACE ({hidden}, CASE WHEN dep <= '{MOMENT}' THEN dep END AS dep,
                                    CASE WHEN known <= '{MOMENT}' THEN known ELSE '2014-06-01' END AS known)
                  FROM '{data}/flights.parquet') TO '{folder}/flights.parquet'
        """)
        connection.execute(f"""
            COPY (FROM '{data}/weather.parquet' WHERE observed + INTERVAL 1 HOUR <= '{MOMENT}')
            TO '{folder}/weather.parquet'
        """)
    views.build(folder)
    return folder


@pytest.mark.parametrize("view", views.VIEWS, ids=lambda view: view.name)
def test_a_row_holds_nothing_from_after_its_own_moment(view: views.View, data: Path, as_known: Path) -> None:
    with duckdb.connect() as connection:
        both = [
            f"FROM '{views.path(folder, view.name)}' WHERE event_timestamp <= '{MOMENT}'" for folder in (data, as_known)
        ]
        count = connection.execute(f"SELECT count(*) {both[0]}").fetchone()
        differing = connection.execute(f"({both[0]} EXCEPT {both[1]}) UNION ({both[1]} EXCEPT {both[0]})").fetchall()
    assert count is not None
    assert count[0] > 1000
    assert differing == []


@pytest.mark.parametrize("view", views.VIEWS, ids=lambda view: view.name)
def test_one_row_per_key_and_moment_with_every_feature(view: views.View, data: Path) -> None:
    with duckdb.connect() as connection:
        names = [row[0] for row in connection.execute(f"DESCRIBE FROM '{views.path(data, view.name)}'").fetchall()]
        twice = connection.execute(f"""
            SELECT {view.join_key}, event_timestamp FROM '{views.path(data, view.name)}'
            GROUP BY ALL HAVING count(*) > 1 OR any_value({view.join_key}) IS NULL
        """).fetchall()
    assert names == [view.join_key, "event_timestamp", "created", *view.features]
    assert twice == []


def test_route_figures_are_what_counting_by_hand_gives(data: Path) -> None:
    morning = "2013-05-17 08:00:00"
    with duckdb.connect() as connection:
        row = connection.execute(f"""
            SELECT route_flights_7d, route_late_28d, route_cancelled_28d, route_air_time_28d
            FROM '{views.path(data, "route_daily")}' WHERE route = 'JFK-LAX' AND event_timestamp = '{morning}'
        """).fetchone()
        expected = connection.execute(f"""
            SELECT count_if(known > TIMESTAMP '{morning}' - INTERVAL 7 DAY), round(avg((dep_delay > 15)::INT), 4),
                   round(avg(cancelled::INT), 4), round(avg(air_time), 4)
            FROM '{data}/flights.parquet'
            WHERE route = 'JFK-LAX' AND known <= '{morning}' AND known > TIMESTAMP '{morning}' - INTERVAL 28 DAY
        """).fetchone()
    assert row == pytest.approx(expected)


def test_overdue_flights_are_those_that_should_have_left_and_have_not(data: Path) -> None:
    with duckdb.connect() as connection:
        seen = connection.execute(f"""
            SELECT ops_overdue FROM '{views.path(data, "origin_ops")}'
            WHERE origin = 'LGA' AND event_timestamp = '{MOMENT}'
        """).fetchone()
        counted = connection.execute(f"""
            SELECT count(*) FROM '{data}/flights.parquet'
            WHERE origin = 'LGA' AND sched_dep <= '{MOMENT}' AND sched_dep > TIMESTAMP '{MOMENT}' - INTERVAL 6 HOUR
                  AND (dep IS NULL OR dep > '{MOMENT}') AND (dep IS NULL OR dep > sched_dep)
        """).fetchone()
    assert seen == counted
    assert seen is not None
    assert seen[0] > 5
