"""Two clocks: what can't be set counts, what was set is noted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from archlab.grading.moments import Moment, between, irregularities, now

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _at(minutes: float, boot: str = "a", uptime_min: float | None = None) -> Moment:
    uptime = minutes if uptime_min is None else uptime_min
    return Moment(NOON + timedelta(minutes=minutes), boot, int(uptime * 60_000))


@pytest.mark.parametrize(
    ("earlier", "later", "minutes"),
    [
        (_at(0), _at(10), 10),
        (_at(0), _at(-50, uptime_min=10), 10),  # the wall clock was set back an hour
        (_at(0), _at(90, uptime_min=10), 10),  # and on
        (_at(0, uptime_min=500), _at(15, "b", 5), 15),  # a restart: the wall clock tells
        (_at(0, uptime_min=500), _at(-30, "b", 5), 5),  # a restart, and set back: no less than since the boot
        (_at(0, uptime_min=500), _at(2, "b", 5), 5),
        (_at(0, ""), _at(7, ""), 7),  # no boot known: the wall clock, never backwards
        (_at(0, ""), _at(-7, ""), 0),
    ],
)
def test_time_that_passed_is_never_less_than_proven(earlier: Moment, later: Moment, minutes: float) -> None:
    assert between(earlier, later) == timedelta(minutes=minutes)


def test_what_clocks_did_is_told() -> None:
    assert irregularities([_at(0), _at(10), _at(20.2, uptime_min=20)]) == ()
    (back,) = irregularities([_at(0), _at(-50, uptime_min=10)])
    assert "set back by 3600 s" in back
    (restarted,) = irregularities([_at(0), _at(4, "b", 1)])
    assert "restarted; 240 s are taken from the wall clock" in restarted
    (both,) = irregularities([_at(0), _at(-5, "b", 1)])
    assert "set back by at least 300 s" in both


def test_this_machine_says_when_it_is() -> None:
    first, second = now(), now()
    assert first.boot == second.boot
    assert 0 <= second.uptime_ms - first.uptime_ms < 60_000
    assert abs((datetime.now(UTC) - first.wall_time).total_seconds()) < 60
