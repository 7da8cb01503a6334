"""Backtests of schedules: which materialisation answered a question, and what is filled from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from archlab.pipelines.backtest import online_since

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("every", "asked", "online"),
    [
        (HOUR, (10, 30), (10, 0)),
        (HOUR, (10, 0), (9, 0)),
        (6 * HOUR, (13, 59), (8, 0)),
        (6 * HOUR, (14, 1), (14, 0)),
        (24 * HOUR, (23, 0), (8, 0)),
    ],
)
def test_the_newest_materialisation_before_the_question(
    every: timedelta, asked: tuple[int, int], online: tuple[int, int]
) -> None:
    day = datetime(2013, 11, 5, tzinfo=UTC)
    moment = day + timedelta(hours=asked[0], minutes=asked[1])
    assert online_since(every, moment) == day + timedelta(hours=online[0], minutes=online[1])


def test_it_agrees_with_the_schedule_that_replay_goes_by() -> None:
    from archlab.spec.scenario import FeatureSchedule
    from archlab.world.schedule import views_due

    tick = timedelta(minutes=30)
    start = datetime(2013, 11, 5, 8, tzinfo=UTC)
    for every in (tick, HOUR, 6 * HOUR, 24 * HOUR):
        schedule = [FeatureSchedule(view="corridor", every=every, cpu_millicore_seconds=1)]
        newest = start
        for number in range(96):
            begins = start + number * tick
            if views_due(schedule, begins, tick):
                newest = begins
            # callers ask within the tick: after its start, up to its end
            for asked in (begins + timedelta(minutes=1), begins + tick):
                assert online_since(every, asked) == newest
