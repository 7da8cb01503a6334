from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from archlab_features import repository
from archlab_features.materialize import Materializer, Written, last_due
from archlab_features.offline import as_of
from archlab_features.reader import read_snapshot
from archlab_features.views import VIEWS, path, view

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")

START = datetime(2013, 11, 4, 8, tzinfo=UTC)
TICK = timedelta(minutes=30)
HOUR = timedelta(hours=1)
EVERY = {
    "weather": HOUR,
    "origin_ops": TICK,
    "carrier_daily": timedelta(days=1),
    "route_daily": timedelta(days=1),
    "aircraft_state": TICK,
    "aircraft_profile": timedelta(days=7),
    "corridor": HOUR,
}

Ticks = list[tuple[datetime, list[Written]]]


class Lab:
    """A lab's folders, as far as features need them."""

    def __init__(self, root: Path, data: Path) -> None:
        self.features, self.snapshots, self.data = root / "features", root / "snapshots", data

    def replay(self, start: datetime, end: datetime) -> Ticks:
        return list(self.materializer().ticks(start, end, TICK, EVERY))

    def materializer(self) -> Materializer:
        return Materializer(self.features, self.data, self.snapshots, {})

    def read(self, written: Written) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.snapshots / written.path).read_text())
        return content


@pytest.fixture(scope="module")
def replayed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, Ticks]:
    lab = Lab(tmp_path_factory.mktemp("lab"), data)
    return lab, lab.replay(START, START + 6 * HOUR)


def newest(ticks: Ticks) -> dict[str, Written]:
    return {written.view: written for _, views in ticks for written in views}


def test_every_row_is_what_feast_answers_online(replayed: tuple[Lab, Ticks]) -> None:
    lab, ticks = replayed
    store = repository.open_store(lab.features)
    for name, written in newest(ticks).items():
        found = lab.read(written)
        keys = list(found["rows"])
        assert len(keys) == written.rows > 0
        answer = store.get_online_features(
            features=[f"{name}:{feature}" for feature in view(name).features],
            entity_rows=[{view(name).join_key: key} for key in keys],
        ).to_dict()
        expected = dict(zip(keys, zip(*(answer[f] for f in view(name).features), strict=True), strict=True))
        assert {key: tuple(row) for key, row in found["rows"].items()} == expected


def test_a_batch_run_sees_what_servers_see(replayed: tuple[Lab, Ticks]) -> None:
    lab, ticks = replayed
    for written in ticks[0][1]:
        found, offline = lab.read(written), as_of(lab.data, written.view, START)
        assert offline.rows == {key: tuple(row) for key, row in found["rows"].items()}


def test_the_reader_reads_them(replayed: tuple[Lab, Ticks]) -> None:
    lab, ticks = replayed
    views = [
        {**asdict(written), "materialized": written.materialized.isoformat()} for written in newest(ticks).values()
    ]
    manifest = {
        "format": "archlab/feature-snapshot/v1",
        "sequence": 1,
        "business_time": ticks[-1][0].isoformat(),
        "views": [{key: value for key, value in each.items() if key != "cpu_ms"} for each in views],
    }
    (lab.snapshots / "current.json").write_text(json.dumps(manifest))
    snapshot = read_snapshot(lab.snapshots / "current.json")
    for written in newest(ticks).values():
        rows = lab.read(written)["rows"]
        got = snapshot.views[written.view].lookup(list(rows))
        np.testing.assert_array_equal(got, np.array(list(rows.values()), dtype=np.float32))


def test_views_come_when_they_are_due(replayed: tuple[Lab, Ticks]) -> None:
    _, ticks = replayed
    assert [moment for moment, _ in ticks] == [START + index * TICK for index in range(12)]
    assert {written.view for written in ticks[0][1]} == set(EVERY)
    assert {written.view for written in ticks[1][1]} == {"origin_ops", "aircraft_state"}
    assert {written.view for written in ticks[2][1]} == {"origin_ops", "aircraft_state", "weather", "corridor"}
    assert all(written.materialized == moment for moment, views in ticks[1:] for written in views)


def test_files_are_addressed_by_digest_and_hold_the_past_only(replayed: tuple[Lab, Ticks]) -> None:
    lab, ticks = replayed
    for moment, views in ticks:
        for written in views:
            assert hashlib.sha256((lab.snapshots / written.path).read_bytes()).hexdigest() == written.sha256
            found = lab.read(written)
            assert (found["format"], found["view"]) == ("archlab/view-snapshot/v1", written.view)
            stamps = [datetime.fromisoformat(stamp) for stamp in found["event_timestamps"].values()]
            ttl = view(written.view).ttl
            assert max(stamps) <= moment
            assert ttl is None or min(stamps) >= written.materialized - ttl


def test_a_snapshot_depends_on_its_moment_and_not_on_how_it_was_reached(
    replayed: tuple[Lab, Ticks], data: Path, tmp_path: Path
) -> None:
    _, ticks = replayed
    other = Lab(tmp_path, data)
    other.replay(START + 3 * HOUR, START + 5 * HOUR)
    again = other.replay(START, START + 6 * HOUR)  # back in time: the store was ahead
    assert [(m, [(w.view, w.sha256) for w in views]) for m, views in again] == [
        (m, [(w.view, w.sha256) for w in views]) for m, views in ticks
    ]


def test_running_on_brings_what_fell_due_meanwhile(replayed: tuple[Lab, Ticks], data: Path, tmp_path: Path) -> None:
    lab = Lab(tmp_path, data)
    lab.replay(START, START + TICK)
    later = lab.replay(START + 2 * HOUR, START + 2 * HOUR + TICK)
    straight = newest(replayed[1][:5])
    assert {written.view: written.sha256 for written in later[0][1]} == {
        name: written.sha256 for name, written in straight.items()
    }


def test_a_late_row_never_replaces_a_newer_one(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "views").mkdir(parents=True)
    for each in VIEWS:
        if each.name != "weather":
            path(folder, each.name).symlink_to(path(data, each.name))
    rows = pd.DataFrame(
        {
            "origin": ["JFK", "JFK", "JFK"],
            "event_timestamp": [START, START + HOUR, START + 2 * HOUR],
            "created": [START, START + 3 * HOUR, START + 2 * HOUR],
        }
    )
    for column in ("event_timestamp", "created"):
        rows[column] = rows[column].dt.tz_localize(None).astype("datetime64[us]")
    for feature in view("weather").features:
        rows[feature] = [1.0, 2.0, 3.0]
    rows.to_parquet(path(folder, "weather"))
    lab = Lab(tmp_path, folder)
    seen = [
        lab.read(written)["rows"]["JFK"][0]
        for _, views in lab.replay(START, START + 4 * HOUR)
        for written in views
        if written.view == "weather"
    ]
    assert seen == [1.0, 1.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("every", "moment", "due"),
    [
        (timedelta(days=1), START + 23 * HOUR, START),
        (timedelta(days=1), START + 24 * HOUR, START + 24 * HOUR),
        (timedelta(hours=6), START + 7 * HOUR, START + 6 * HOUR),
        (TICK, START + timedelta(minutes=59), START + TICK),
        (timedelta(days=1), START - HOUR, START - timedelta(days=1)),
    ],
)
def test_schedules_count_from_eight_in_the_morning(every: timedelta, moment: datetime, due: datetime) -> None:
    assert last_due(every, moment) == due
