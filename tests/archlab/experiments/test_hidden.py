"""Hidden days: by question and seed, never days that the learner has seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from archlab.errors import LabStateError
from archlab.experiments.hidden import FIRST, LAST, hidden_days, hidden_team

STARTS = datetime(2013, 12, 2, 8, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_same_seed_draws_the_same_and_others_differ() -> None:
    drawn = {seed: hidden_days("shape", seed, STARTS, STARTS, 1) for seed in range(1, 21)}
    assert drawn == {seed: hidden_days("shape", seed, STARTS, STARTS + 2 * DAY, 1) for seed in range(1, 21)}
    assert len(set(drawn.values())) > 8
    assert hidden_days("shape", 1, STARTS, STARTS, 1) != hidden_days("other", 1, STARTS, STARTS, 1)


@pytest.mark.parametrize("lived", [0, 5, 10, LAST])
def test_no_day_was_seen_by_the_learner(lived: int) -> None:
    now = STARTS + lived * DAY
    for seed in range(1, 30):
        start = hidden_days("shape", seed, STARTS, now, 1)
        assert start >= now
        assert STARTS + FIRST * DAY <= start <= STARTS + LAST * DAY


def test_a_learner_who_has_seen_them_all_is_told() -> None:
    with pytest.raises(LabStateError, match="not seen"):
        hidden_days("shape", 1, STARTS, STARTS + LAST * DAY + timedelta(minutes=30), 1)
    with pytest.raises(LabStateError):
        hidden_days("shape", 1, STARTS, STARTS + LAST * DAY, 2)


def test_which_team_is_noisy_is_the_seeds_and_the_questions() -> None:
    teams = ("care", "operations", "planning", "revenue")
    drawn = [hidden_team("shape", seed, teams) for seed in range(1, 41)]
    assert drawn == [hidden_team("shape", seed, tuple(reversed(teams))) for seed in range(1, 41)]
    assert set(drawn) == set(teams)
    assert drawn != [hidden_team("other", seed, teams) for seed in range(1, 41)]
