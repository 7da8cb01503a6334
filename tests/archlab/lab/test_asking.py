"""Questions to models, and changes to them by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from archlab.errors import UserError
from archlab.lab.asking import changed, request_body
from archlab.spec.business import Ask
from archlab_scenarios.airline.cards import CARDS

CARD = CARDS["departure-delay"]
ASK = Ask(
    subject="flight",
    asked=datetime(2013, 12, 2, 9, tzinfo=UTC),
    keys={"flight_id": "f", "origin": "JFK"},
    columns={"distance": 100.0},
)


def test_a_request_has_one_tensor_per_key_and_column() -> None:
    body = request_body(ASK)
    assert body["id"] == "flight"
    assert [(t["name"], t["datatype"], t["shape"], t["data"]) for t in body["inputs"]] == [
        ("flight_id", "BYTES", [1], ["f"]),
        ("origin", "BYTES", [1], ["JFK"]),
        ("distance", "FP32", [1], [100.0]),
    ]


def test_keys_and_columns_can_be_changed() -> None:
    made = changed(ASK, CARD, ["origin=EWR", "distance=2.5", "weekday=3"])
    assert made.keys == {"flight_id": "f", "origin": "EWR"}
    assert made.columns == {"distance": 2.5, "weekday": 3.0}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("origin", "is not NAME=VALUE"),
        ("colour=red", "knows no input .colour."),
        ("distance=far", "distance is a number"),
    ],
)
def test_what_can_not_be_read_is_named(value: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        changed(ASK, CARD, [value])
