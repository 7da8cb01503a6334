from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from archlab_features import repository
from archlab_features.history import RowCountError, point_in_time
from archlab_features.views import VIEWS, path, view

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def write_weather(folder: Path, rows: list[tuple[str, datetime, datetime, float]]) -> None:
    """Weather rows: origin, event, created, temperature; other features stay empty."""
    frame = pd.DataFrame(rows, columns=["origin", "event_timestamp", "created", "wx_temp"])
    for column in ("event_timestamp", "created"):
        frame[column] = frame[column].dt.tz_localize(None).astype("datetime64[us]")
    for feature in view("weather").features:
        if feature not in frame:
            frame[feature] = float("nan")
    (folder / "views").mkdir(parents=True, exist_ok=True)
    frame[["origin", "event_timestamp", "created", *view("weather").features]].to_parquet(path(folder, "weather"))


@pytest.fixture
def small(tmp_path: Path, data: Path) -> Path:
    """A data folder with weather of our own; the other views are the real ones."""
    folder = tmp_path / "data"
    (folder / "views").mkdir(parents=True)
    for each in VIEWS:
        if each.name != "weather":
            path(folder, each.name).symlink_to(path(data, each.name))
    return folder


def temperatures(store: Any, asked: list[tuple[str, datetime]]) -> list[float]:
    entities = pd.DataFrame(asked, columns=["origin", "event_timestamp"])
    entities["row"] = [f"r{index}" for index in range(len(asked))]
    joined = point_in_time(store, entities, {"weather": ["wx_temp"]})
    return [float(value) for value in joined["wx_temp"]]


def opened(tmp_path: Path, folder: Path) -> Any:
    store = repository.open_store(tmp_path / "feast")
    repository.apply(store, tmp_path / "feast", folder, {"service": {"weather": ["wx_temp"]}})
    return store


def test_a_question_gets_what_was_known_and_nothing_later(tmp_path: Path, small: Path) -> None:
    write_weather(
        small,
        [
            ("JFK", NOON, NOON, 10.0),
            ("JFK", NOON + HOUR, NOON + HOUR, 11.0),
            ("LGA", NOON, NOON, 20.0),
        ],
    )
    minute = timedelta(minutes=1)
    asked = [("JFK", NOON - minute), ("JFK", NOON), ("JFK", NOON + HOUR - minute), ("JFK", NOON + HOUR), ("LGA", NOON)]
    nothing, *known = temperatures(opened(tmp_path, small), asked)
    assert nothing != nothing
    assert known == [10.0, 10.0, 11.0, 20.0]


def test_a_late_row_counts_from_when_it_came(tmp_path: Path, small: Path) -> None:
    write_weather(
        small,
        [("JFK", NOON, NOON, 10.0), ("JFK", NOON + HOUR, NOON + 3 * HOUR, 99.0)],
    )
    asked = [("JFK", NOON + 2 * HOUR), ("JFK", NOON + 3 * HOUR)]
    assert temperatures(opened(tmp_path, small), asked) == [10.0, 99.0]


def test_rows_older_than_the_ttl_do_not_count(tmp_path: Path, small: Path) -> None:
    write_weather(small, [("JFK", NOON, NOON, 10.0)])
    ttl = view("weather").ttl
    assert ttl is not None
    fresh, old = temperatures(opened(tmp_path, small), [("JFK", NOON + ttl), ("JFK", NOON + ttl + HOUR)])
    assert fresh == 10.0
    assert old != old


def test_rows_that_share_key_and_moment_are_all_kept(tmp_path: Path, small: Path) -> None:
    write_weather(small, [("JFK", NOON, NOON, 10.0)])
    asked = [("JFK", NOON + HOUR)] * 500 + [("EWR", NOON)] * 3
    found = temperatures(opened(tmp_path, small), asked)
    assert found[:500] == [10.0] * 500
    assert all(value != value for value in found[500:])


def test_doubled_rows_are_an_error(tmp_path: Path, small: Path) -> None:
    write_weather(small, [("JFK", NOON, NOON, 10.0)])
    entities = pd.DataFrame({"origin": ["JFK", "JFK"], "event_timestamp": [NOON, NOON], "row": ["same", "same"]})
    with pytest.raises(RowCountError, match="2 entity rows"):
        point_in_time(opened(tmp_path, small), entities, {"weather": ["wx_temp"]})


def test_feast_joins_what_a_join_by_hand_gives(tmp_path: Path, data: Path) -> None:
    wanted = {"origin_ops": ["ops_late_2h"], "route_daily": ["route_air_time_28d"], "aircraft_state": ["tail_late_28d"]}
    with duckdb.connect() as connection:
        flights = f"""
            SELECT flight_id AS row, origin, route, tailnum, sched_dep - INTERVAL 1 HOUR AS event_timestamp
            FROM '{data}/flights.parquet' WHERE tailnum IS NOT NULL USING SAMPLE reservoir(3000 ROWS) REPEATABLE (7)
        """
        entities = connection.execute(f"{flights} ORDER BY row").df()
        by_hand = connection.execute(
            "SELECT "
            + ", ".join(f"{name}.{feature}" for name, chosen in wanted.items() for feature in chosen)
            + " FROM entities e"
            + "".join(
                f" ASOF LEFT JOIN (FROM '{path(data, name)}') {name}"
                f" ON e.{view(name).join_key} = {name}.{view(name).join_key}"
                f" AND e.event_timestamp >= {name}.event_timestamp"
                for name in wanted
            )
            + " ORDER BY row"
        ).df()
        ages = connection.execute(f"""
            SELECT e.event_timestamp - a.event_timestamp > INTERVAL 28 DAY AS old FROM entities e
            ASOF LEFT JOIN (FROM '{path(data, "aircraft_state")}') a
            ON e.tailnum = a.tailnum AND e.event_timestamp >= a.event_timestamp ORDER BY row
        """).df()
    by_hand.loc[ages["old"].fillna(False).astype(bool), "tail_late_28d"] = float("nan")
    entities["event_timestamp"] = entities["event_timestamp"].dt.tz_localize("UTC")
    store = repository.open_store(tmp_path / "feast")
    repository.apply(store, tmp_path / "feast", data, {"service": wanted})
    pd.testing.assert_frame_equal(point_in_time(store, entities, wanted), by_hand)
