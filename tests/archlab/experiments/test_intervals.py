"""Intervals of a few repeats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.experiments.intervals import of_repeats


def test_students_interval_of_three_runs() -> None:
    found = of_repeats([10.0, 11.0, 12.0])
    assert found.value == 11
    # t(2, 97.5 %) = 4.3027, s = 1, n = 3
    assert found.high - found.value == pytest.approx(4.3027 / 3**0.5, rel=1e-4)


def test_one_run_says_nothing_about_its_spread() -> None:
    found = of_repeats([10.0])
    assert (found.low, found.high) == (0, 20)


@given(st.lists(st.floats(0.1, 1000), min_size=2, max_size=12))
def test_the_interval_holds_the_mean_and_is_never_negative(values: list[float]) -> None:
    found = of_repeats(values)
    assert 0 <= found.low <= found.value * (1 + 1e-9)
    assert found.high >= found.value * (1 - 1e-9)


def test_nothing_measured_is_no_figure() -> None:
    with pytest.raises(ValueError, match="no values"):
        of_repeats([])
