"""Truths over sweeps: what the intervals decide, and where they straddle the promise."""

from __future__ import annotations

import pytest

from archlab.grading import content, grade
from archlab.spec.experiments import Sweep
from archlab.spec.grading import Truth, Verdict
from sweeps import Interval, losses, tails
from synthetic import World, ten_models

PACK = content.load(ten_models())
MEASURED: dict[int, Interval] = {1_800: (0, 0), 3_600: (0, 0), 21_600: (0.22, 0.44), 86_400: (0.58, 1.45)}


def _truth(name: str, world: World, *sweeps: Sweep) -> Truth:
    evidence = world.evidence().model_copy(update={"sweeps": sweeps})
    return PACK.truth(PACK.question(name))(evidence, evidence.variant)


@pytest.mark.parametrize(("limit", "answer"), [(0.15, "hourly"), (0.5, "six-hourly")])
def test_the_variant_decides_how_seldom_is_enough(limit: float, answer: str) -> None:
    found = _truth("fresh-enough", World(choices={"corridor-loss": limit}), losses(MEASURED))
    assert found.answer == answer
    assert answer in grade.explain(PACK.question("fresh-enough").explanation, found.facts)


def test_a_loss_that_straddles_the_promise_is_not_graded() -> None:
    world = World(choices={"corridor-loss": 0.5})
    found = _truth("fresh-enough", world, losses(MEASURED | {86_400: (0.45, 1.45)}))
    judged = grade.grade(PACK.question("fresh-enough"), found, "six-hourly")
    assert (judged.verdict, judged.counts) == (Verdict.BLOCKED, False)
    assert "too close to call" in judged.message
    assert "--days 56" in judged.message


@pytest.mark.parametrize(
    ("p99", "answer"),
    [
        ({1: (20, 40), 2: (20, 40), 3: (20, 40)}, "two"),
        ({1: (300, 400), 2: (20, 40), 3: (20, 40)}, "three"),
        ({1: (300, 400), 2: (200, 240), 3: (100, 140)}, "four"),
        ({1: (3000, 4000), 2: (3000, 4000), 3: (2000, 4000)}, "none"),
    ],
)
def test_those_that_are_left_have_to_carry_the_peak(p99: dict[int, Interval], answer: str) -> None:
    found = _truth("replicas-at-peak", World(choices={"delay-peak": 0.25}), tails(p99, 0.25))
    assert found.answer == answer


def test_a_p99_that_straddles_the_slo_is_not_graded() -> None:
    world = World(choices={"delay-peak": 0.25})
    found = _truth("replicas-at-peak", world, tails({1: (100, 200), 2: (20, 40), 3: (20, 40)}, 0.25))
    judged = grade.grade(PACK.question("replicas-at-peak"), found, "two")
    assert (judged.verdict, judged.counts) == (Verdict.BLOCKED, False)


def test_a_sweep_at_another_load_does_not_answer_the_question() -> None:
    world = World(choices={"delay-peak": 2.0})
    found = _truth("replicas-at-peak", world, tails({1: (20, 40), 2: (20, 40), 3: (20, 40)}, 0.25))
    assert "archlab sweep load" in found.blocked
    assert "archlab sweep materialisation" in _truth("fresh-enough", World()).blocked
