"""The forecast about a dead control plane is judged by what went on in the lab."""

from __future__ import annotations

import pytest

from archlab.grading import content, grade
from archlab.spec.grading import Verdict
from archlab_scenarios.ten_models import mistakes, outages
from synthetic import WENT_ON, World, ten_models, with_outages

PACK = content.load(ten_models())
QUESTION = PACK.question("what-goes-on")


@pytest.mark.parametrize("unit", ["control", "registry"])
def test_each_unit_has_an_answer_of_its_own(unit: str) -> None:
    evidence = with_outages(World(choices={"outage": unit}))
    truth = outages.what_goes_on(evidence, evidence.variant)
    assert set(truth.answer) == set(WENT_ON[unit])
    other = next(w for u, w in WENT_ON.items() if u != unit)
    assert grade.grade(QUESTION, truth, sorted(WENT_ON[unit])).verdict is Verdict.CORRECT
    assert grade.grade(QUESTION, truth, sorted(other)).verdict is not Verdict.CORRECT


@pytest.mark.parametrize("unit", ["control", "registry"])
@pytest.mark.parametrize("mistake", ["platform_is_one", "control_is_passive", "one_control_plane"])
def test_declared_mistakes_are_not_full(unit: str, mistake: str) -> None:
    evidence = with_outages(World(choices={"outage": unit}))
    truth = outages.what_goes_on(evidence, evidence.variant)
    led_to = sorted(getattr(mistakes, mistake)(evidence, evidence.variant))
    assert grade.grade(QUESTION, truth, led_to).verdict is not Verdict.CORRECT


def test_what_failed_once_did_not_go_on() -> None:
    evidence = with_outages(World(choices={"outage": "control"}))
    shaky = tuple(
        o.model_copy(
            update={"probes": tuple(p.model_copy(update={"succeeded": min(p.succeeded, 2)}) for p in o.probes)}
        )
        for o in evidence.outages
    )
    truth = outages.what_goes_on(evidence.model_copy(update={"outages": shaky}), evidence.variant)
    assert truth.answer == ["none"]


def test_the_other_units_outage_does_not_answer() -> None:
    evidence = with_outages(World(choices={"outage": "control"}))
    other = tuple(o for o in evidence.outages if o.unit == "registry")
    found = outages.what_goes_on(evidence.model_copy(update={"outages": other}), evidence.variant)
    assert "archlab outage control" in found.blocked
