"""The two rego questions: references earn everything for every variant, careless rules less, constant ones nothing."""

from __future__ import annotations

import pytest

from archlab.grading import content, rules
from archlab.grading.proof import recording, solutions
from archlab.grading.proof.recasting import recast
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.plan.resolve import resolve
from archlab.spec.grading import Evidence, RuleCase, Truth

FOLDER = scenario_folder("approval-gates")
PACK = content.load(FOLDER)
SOLUTIONS = solutions.load(FOLDER)
QUESTIONS = ("comparable-evidence", "requested-by-another")


def _lab(seed: int) -> Evidence:
    return recast(recording.load(FOLDER)[0].start, *resolve(load_scenario(FOLDER / "scenario.yaml"), seed))


def _truth(question: str, text: str, seed: int = 1) -> Truth:
    asked, lab = PACK.question(question), _lab(seed)
    evidence = rules.with_trial(PACK, asked, text, lab)
    return PACK.truth(asked)(evidence, evidence.variant)


def _solution(question: str, seed: int = 1) -> str:
    lab = _lab(seed)
    text: str = SOLUTIONS.functions[question.replace("-", "_")](lab, lab.variant)
    return text


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_reference_is_right_for_every_variant(question: str, seed: int) -> None:
    found = _truth(question, _solution(question, seed), seed)
    assert found.answer == 1.0, found.saw


@pytest.mark.parametrize(("question", "knob"), list(zip(QUESTIONS, ("fewer-percent", "robot"), strict=True)))
def test_another_seeds_knob_is_not_enough(question: str, knob: str) -> None:
    by_value = {str(_lab(seed).scenario.knobs[knob]): seed for seed in range(1, 9)}
    first, *others = by_value.values()
    assert any(_truth(question, _solution(question, other), first).answer < 1 for other in others)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("always", ["allow := true\n", "default allow := false\n\nallow if false\n"])
def test_a_constant_answer_earns_nothing(question: str, always: str) -> None:
    package = f"package archlab.rules.promotion.{question.replace('-', '_')}\n\nimport rego.v1\n\n"
    assert _truth(question, package + 'actions := {"promotion/champion"}\n\n' + always).answer == 0


@pytest.mark.parametrize("question", QUESTIONS)
def test_cases_are_unlike_each_other_and_hold_both_sides_and_every_kind_of_damage(question: str) -> None:
    asked, lab = PACK.question(question), _lab(1)
    cases: list[RuleCase] = list(PACK.cases[asked.cases](lab, lab.variant))
    assert {case.allow for case in cases} == {True, False}
    assert {"a field is missing", "a field has the wrong type"} <= {case.category for case in cases}
    inputs = [str(case.input) for case in cases]
    assert len(set(inputs)) == len(inputs)
