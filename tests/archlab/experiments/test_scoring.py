"""The rule by which a design earns points."""

from __future__ import annotations

import pytest

from archlab.experiments.scoring import broken_promises, judge, score, too_slow
from archlab.spec.experiments import DesignTrial, Load
from synthetic import World
from trials import late, load, run, trial

SCENARIO = World().scenario


def _share(made: DesignTrial) -> float | None:
    found = score(made, SCENARIO).share
    return None if found is None else float(found)


@pytest.mark.parametrize(
    ("net", "share"), [(20, 1), (25, 1), (19, 1), (18.9, 0.89), (15, 0.5), (11, 0.1), (10.9, 0), (10, 0), (-50, 0)]
)
def test_points_are_the_share_of_the_gap_between_best_naive_and_reference(net: float, share: float) -> None:
    assert _share(trial(net)) == pytest.approx(share)


@pytest.mark.parametrize(("failures", "share"), [(0, 1), (1, 1), (2, 0.5)])
def test_an_slo_broken_under_load_caps_the_points(failures: int, share: float) -> None:
    assert _share(trial(22, loads=(load("departure-delay", failures=failures),))) == share


def _slow(*p99_ms: float, requests: int = 1000) -> tuple[Load, ...]:
    return tuple(load("departure-delay", p99_ms=each, requests=requests) for each in p99_ms)


@pytest.mark.parametrize(
    ("loads", "share"),
    [
        (_slow(390, 400, 410), 0.5),
        (_slow(390, 400, 410, requests=99), 1),
        (_slow(400), 1),
        (_slow(100, 400, 160), 1),
    ],
)
def test_a_p99_is_broken_when_all_of_its_interval_is_above_the_promise(loads: tuple[Load, ...], share: float) -> None:
    assert _share(trial(22, loads=loads)) == share


def test_one_slow_load_asks_for_more() -> None:
    assert too_slow(load("departure-delay", p99_ms=151), SCENARIO)
    assert not too_slow(load("departure-delay", p99_ms=150), SCENARIO)
    assert not too_slow(load("departure-delay", p99_ms=151, requests=99), SCENARIO)


def test_what_the_reference_could_not_keep_is_not_held_against_the_design() -> None:
    made = trial(1, loads=_slow(390, 400, 410))
    assert broken_promises(made.submitted, made, SCENARIO)
    made = made.model_copy(update={"reference": run("reference", 20, _slow(390, 400, 410))})
    assert not broken_promises(made.submitted, made, SCENARIO)


def test_a_naive_design_that_breaks_its_promises_is_no_yardstick() -> None:
    made = trial(15, naive=(10, 19))
    frail = run("naive-1", 19, (load("departure-delay", failures=500),))
    assert _share(made.model_copy(update={"naive": (made.naive[0], frail)})) == 0.5


def test_three_broken_promises_earn_nothing() -> None:
    stale = World(stale={"departure-delay": 90, "flight-time": 90, "cancellation-risk": 90}).day(3)
    made = trial(25).model_copy(update={"submitted": run("submitted", 25, day=stale)})
    scored = score(made, SCENARIO)
    assert scored.share == 0
    assert len(scored.broken) == 3


def test_a_gap_within_the_noise_is_not_graded() -> None:
    found = judge(World().evidence().model_copy(update={"design": trial(20, reference=10.1)}))
    assert (found.answer, found.interval) == (None, (0.0, 0.0))
    assert "less than 2 %" in found.saw


def test_answers_late_by_milliseconds_that_would_decide_are_not_graded() -> None:
    made = trial(18.9)
    day = late(made.submitted.days[0], "departure-delay", 15)
    submitted = made.submitted.model_copy(update={"days": (day,)})
    scored = score(made.model_copy(update={"submitted": submitted}), SCENARIO)
    assert scored.share is None
    assert "milliseconds" in scored.reason


def test_without_a_trial_the_question_says_what_to_submit() -> None:
    assert "archlab answer" in judge(World().evidence()).blocked


def test_the_report_shows_every_design_within_eighty_columns() -> None:
    found = judge(World().evidence().model_copy(update={"design": trial(15)}))
    assert "50% of the way" in found.saw
    chart = found.saw.split("```")[1]
    assert max(len(line) for line in chart.splitlines()) <= 72
    for name in ("yours", "reference", "naive-0", "naive-1"):
        assert name in found.saw
