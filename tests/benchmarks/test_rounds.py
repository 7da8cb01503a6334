"""Rounds: spreads and ratios."""

from __future__ import annotations

import pytest
from benchmarks.serving.rounds import Round, Spread, cpu_ratios, ratios, spread


def rounds(*rates: float, cpu_us: float = 100.0) -> list[Round]:
    return [Round(rate, 1.0, 2.0, cpu_us, 0.1) for rate in rates]


def test_a_spread_is_median_least_and_most() -> None:
    assert spread([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)


def test_ratios_are_taken_within_a_round() -> None:
    # The machine was three times slower in the second round: that says nothing about either.
    assert ratios(rounds(300.0, 100.0), rounds(150.0, 50.0)) == Spread(2.0, 2.0, 2.0)


def test_a_ratio_of_cpu_time_says_how_much_more_the_other_takes() -> None:
    assert cpu_ratios(rounds(1.0, cpu_us=50.0), rounds(1.0, cpu_us=400.0)).median == 8.0


def test_rounds_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios(rounds(1.0, 2.0), rounds(1.0))
