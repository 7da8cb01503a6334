from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from tests.archlab_serving.conftest import CARRIER, POOL, WEATHER, Lab, body

from archlab_features.reader import EMPTY, Snapshot, read_snapshot
from archlab_serving.errors import BadRequestError
from archlab_serving.features import Inputs, assemble, bind
from archlab_serving.feed import Release, read_feed
from archlab_serving.protocol.rest import parse_request

NAN = np.nan


@pytest.fixture
def release(lab: Lab) -> Release:
    lab.publish(lab.onnx())
    return read_feed(lab.feed, POOL).releases[0]


@pytest.fixture
def snapshot(lab: Lab) -> Snapshot:
    lab.snapshot(4, weather=WEATHER, carrier=CARRIER)
    return read_snapshot(lab.snapshots)


def inputs(release: Release, snapshot: Snapshot, document: dict[str, Any]) -> Inputs:
    return assemble(bind(release, snapshot), parse_request(orjson.dumps(document)).inputs, max_rows=10)


def check(found: Inputs, *rows: list[float]) -> None:
    np.testing.assert_array_equal(found.matrix, np.array(rows, dtype=np.float32))


def test_what_the_request_leaves_out_is_looked_up(release: Release, snapshot: Snapshot) -> None:
    found = inputs(release, snapshot, body(distance=[1.0], hour=[8.0], origin=["JFK"], carrier=["AA"]))
    check(found, [1.0, 8.0, 2.0, 3.0, 0.5])
    assert found.keys == {"origin": ["JFK"], "carrier": ["AA"]}


def test_several_rows_find_their_own_features(release: Release, snapshot: Snapshot) -> None:
    asked = body(distance=[1.0, 2.0, 3.0], origin=["LGA", "JFK", "EWR"], carrier=["AA", "XX", "AA"])
    check(inputs(release, snapshot, asked), [1, NAN, 5, NAN, 0.5], [2, NAN, 2, 3, NAN], [3, NAN, NAN, NAN, 0.5])


def test_one_row_and_many_rows_agree(release: Release, snapshot: Snapshot) -> None:
    rows = [("LGA", "AA"), ("JFK", "XX"), ("EWR", "AA")]
    together = inputs(release, snapshot, body(origin=[r[0] for r in rows], carrier=[r[1] for r in rows])).matrix
    apart = [inputs(release, snapshot, body(origin=[o], carrier=[c])).matrix[0] for o, c in rows]
    np.testing.assert_array_equal(together, np.array(apart))


def test_what_the_request_brings_beats_the_view(release: Release, snapshot: Snapshot) -> None:
    found = inputs(release, snapshot, body(temp=[9.0], origin=["JFK"]))
    check(found, [NAN, NAN, 9.0, 3.0, NAN])


def test_without_its_key_a_view_fills_nothing(release: Release, snapshot: Snapshot) -> None:
    check(inputs(release, snapshot, body(distance=[1.0])), [1.0, NAN, NAN, NAN, NAN])


def test_age_is_the_oldest_views_that_was_consulted(release: Release, snapshot: Snapshot) -> None:
    everything = inputs(release, snapshot, body(origin=["JFK"], carrier=["AA"]))
    assert everything.as_of == "2013-06-01T04:00:00Z"
    assert inputs(release, snapshot, body(origin=["JFK"], late=[0.1])).as_of == "2013-06-01T06:00:00Z"
    assert inputs(release, snapshot, body(late=[0.1], temp=[1.0], wind=[1.0])).as_of == ""


def test_missing_views_and_features_are_named(release: Release, lab: Lab) -> None:
    assert bind(release, EMPTY).missing == "weather,carrier"
    lab.snapshot(5, weather={**WEATHER, "features": ["wind", "humidity"]}, carrier=CARRIER)
    assert bind(release, read_snapshot(lab.snapshots)).missing == "weather.temp"


def test_the_whole_matrix_is_taken_as_it_is(release: Release, snapshot: Snapshot) -> None:
    whole = {"name": "features", "datatype": "FP32", "shape": [2, 5], "data": [1, 2, 3, 4, 5, 6, 7, 8, 9, None]}
    check(inputs(release, snapshot, {"inputs": [whole]}), [1, 2, 3, 4, 5], [6, 7, 8, 9, NAN])


@pytest.mark.parametrize(
    ("inputs_", "message"),
    [
        ([{"name": "gate", "datatype": "FP32", "shape": [1], "data": [1]}], "'gate' is neither a key nor a column"),
        ([{"name": "origin", "datatype": "FP32", "shape": [1], "data": [1]}], "'origin' has datatype FP32"),
        ([{"name": "hour", "datatype": "BYTES", "shape": [1], "data": ["a"]}], "'hour' has datatype BYTES"),
        ([{"name": "hour", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}], r"'hour' has shape \[1, 2\]"),
        ([{"name": "hour", "datatype": "FP32", "shape": [0], "data": []}], "'hour' has 0 rows"),
        ([{"name": "hour", "datatype": "FP32", "shape": [11], "data": [1] * 11}], "'hour' has 11 rows; 1 to 10"),
        (
            [
                {"name": "hour", "datatype": "FP32", "shape": [1], "data": [1]},
                {"name": "distance", "datatype": "FP32", "shape": [2], "data": [1, 2]},
            ],
            "'distance' has 2 rows, the ones before it have 1",
        ),
        ([{"name": "features", "datatype": "FP32", "shape": [1, 4], "data": [1] * 4}], r"\[N, 5\] is needed"),
        ([{"name": "features", "datatype": "FP64", "shape": [1, 5], "data": [1] * 5}], "FP32 is needed"),
        (
            [
                {"name": "features", "datatype": "FP32", "shape": [1, 5], "data": [1] * 5},
                {"name": "hour", "datatype": "FP32", "shape": [1], "data": [1]},
            ],
            "'hour' comes beside 'features'",
        ),
    ],
)
def test_a_bad_tensor_is_named(release: Release, snapshot: Snapshot, inputs_: list[Any], message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        inputs(release, snapshot, {"inputs": inputs_})
