"""How a run of the load is judged against what callers were promised."""

from __future__ import annotations

from typing import Any

import pytest

from archlab.cli.load import _seconds, judge
from archlab.errors import UserError
from synthetic import declared


def _result(**models: dict[str, Any]) -> dict[str, Any]:
    base = {"requests": 1000, "failures": 0, "reasons": {}, "p50_ms": 5.0, "p95_ms": 20.0, "p99_ms": 40.0}
    return {"seconds": 10.0, "models": {name.replace("_", "-"): base | facts for name, facts in models.items()}}


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({}, "kept"),
        ({"p99_ms": 151.0}, "broken: p99 151 > 150 ms"),
        ({"failures": 1}, "kept"),
        ({"failures": 2}, "broken: availability 0.9980 < 0.999"),
        ({"requests": 99, "p99_ms": 900.0}, "too few"),
        ({"requests": 99, "failures": 1}, "broken: availability 0.9899 < 0.999"),
    ],
)
def test_each_promise_is_judged(facts: dict[str, Any], verdict: str) -> None:
    (row,) = judge(_result(departure_delay=facts), declared())
    assert row.verdict == verdict


def test_rows_carry_rate_promise_and_reason() -> None:
    (row,) = judge(_result(flight_time={"failures": 9, "reasons": {"HTTP 503: gone": 9}}), declared())
    assert (row.model, row.per_second, row.slo_p99_ms, row.reason) == ("flight-time", 100.0, 200, "HTTP 503: gone")


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("2m", 120), ("45", 45)])
def test_run_times(text: str, seconds: int) -> None:
    assert _seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0s", "-1s", "2h", "99999m"])
def test_run_times_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="is not a run time"):
        _seconds(text)
