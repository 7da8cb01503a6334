from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from archlab_features.reader import EMPTY, SnapshotError, join_key, read_snapshot, read_view

WEATHER: dict[str, Any] = {
    "format": "archlab/view-snapshot/v1",
    "view": "weather",
    "join_keys": ["origin"],
    "features": ["temp", "wind"],
    "rows": {"JFK": [1.5, None], "LGA": [2.5, 7.0]},
    "event_timestamps": {"JFK": "2013-06-01T05:00:00Z"},
}
NOON = "2013-06-01T12:00:00Z"


def write(folder: Path, sequence: int, *documents: dict[str, Any], materialized: str = NOON) -> Path:
    entries = []
    for document in documents:
        data = orjson.dumps(document)
        digest = hashlib.sha256(data).hexdigest()
        (folder / digest).write_bytes(data)
        entries.append(
            {"view": document["view"], "sha256": digest, "path": digest, "rows": 2, "materialized": materialized}
        )
    manifest = folder / "current.json"
    header = {"format": "archlab/feature-snapshot/v1", "sequence": sequence, "business_time": NOON}
    manifest.write_bytes(orjson.dumps({**header, "views": entries}))
    return manifest


def test_rows_are_found_by_key_and_null_is_nan(tmp_path: Path) -> None:
    snapshot = read_snapshot(write(tmp_path, 7, WEATHER))
    view = snapshot.views["weather"]
    assert snapshot.sequence == 7
    assert (view.join_keys, view.features) == (("origin",), ("temp", "wind"))
    np.testing.assert_array_equal(view.lookup(["LGA", "JFK"]), np.array([[2.5, 7.0], [1.5, np.nan]], dtype=np.float32))


def test_an_unknown_key_is_a_row_of_nan(tmp_path: Path) -> None:
    view = read_snapshot(write(tmp_path, 1, WEATHER)).views["weather"]
    assert np.isnan(view.lookup(["EWR"])).all()
    assert np.isnan(view.values[view.row("EWR")]).all()


def test_event_timestamps_are_kept(tmp_path: Path) -> None:
    view = read_snapshot(write(tmp_path, 1, WEATHER)).views["weather"]
    assert view.event_timestamp("JFK") == datetime(2013, 6, 1, 5, tzinfo=UTC)
    assert view.event_timestamp("LGA") is None
    assert view.event_timestamp("EWR") is None


def test_several_join_keys_are_joined(tmp_path: Path) -> None:
    document = {**WEATHER, "join_keys": ["origin", "carrier"], "rows": {"JFK|AA": [1.0, 2.0]}, "event_timestamps": {}}
    view = read_snapshot(write(tmp_path, 1, document)).views["weather"]
    assert view.lookup([join_key(["JFK", "AA"])]).tolist() == [[1.0, 2.0]]


def test_a_view_without_rows_knows_nothing(tmp_path: Path) -> None:
    view = read_snapshot(write(tmp_path, 1, {**WEATHER, "rows": {}, "event_timestamps": {}})).views["weather"]
    assert view.values.shape == (1, 2)
    assert np.isnan(view.lookup(["JFK"])).all()


def test_unchanged_views_are_taken_over_with_their_new_time(tmp_path: Path) -> None:
    first = read_snapshot(write(tmp_path, 1, WEATHER))
    same = read_snapshot(write(tmp_path, 2, WEATHER), first)
    assert same.views["weather"] is first.views["weather"]
    later = read_snapshot(write(tmp_path, 3, WEATHER, materialized="2013-06-01T13:00:00Z"), same)
    assert later.views["weather"].values is first.views["weather"].values
    assert later.views["weather"].materialized == datetime(2013, 6, 1, 13, tzinfo=UTC)


def test_a_changed_file_under_a_known_digest_is_refused(tmp_path: Path) -> None:
    manifest = write(tmp_path, 1, WEATHER)
    (blob,) = (path for path in tmp_path.iterdir() if path != manifest)
    blob.write_bytes(blob.read_bytes().replace(b"2.5", b"9.5"))
    with pytest.raises(SnapshotError, match="SHA-256"):
        read_snapshot(manifest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": {"JFK": [1.0]}}, "rows have shape"),
        ({"rows": {"JFK": [1.0, "warm"]}}, "warm"),
        ({"format": "archlab/view-snapshot/v2"}, "format is"),
        ({"event_timestamps": {"JFK": "2013-06-01T05:00:00"}}, "no zone"),
    ],
)
def test_a_damaged_view_is_refused_with_its_fault(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        read_snapshot(write(tmp_path, 1, {**WEATHER, **change}))


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    manifest = write(tmp_path, 1, {key: value for key, value in WEATHER.items() if key != "features"})
    with pytest.raises(SnapshotError, match="'features' is missing"):
        read_snapshot(manifest)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "archlab/feature-snapshot/v1"}'])
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    manifest = tmp_path / "current.json"
    manifest.write_bytes(content)
    with pytest.raises(SnapshotError, match=r"current\.json"):
        read_snapshot(manifest)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"gone\.json: No such file"):
        read_view(tmp_path / "gone.json", "0" * 64, datetime.now(UTC))


def test_the_empty_snapshot_has_no_views() -> None:
    assert (EMPTY.sequence, dict(EMPTY.views)) == (0, {})
