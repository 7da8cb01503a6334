"""The rego question: its reference earns everything for every variant, careless rules less, constant ones nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archlab.grading import content, rules
from archlab.grading.answers import InvalidAnswerError
from archlab.grading.grade import grade
from archlab.spec.grading import Evidence, RuleCase, Truth, Verdict
from synthetic import World, ten_models

PACK = content.load(ten_models())
QUESTION = PACK.question("clear-margin")
SOLUTION = (ten_models() / "solution" / "answers" / "clear-margin.rego").read_text()
HEADER = 'package archlab.rules.promotion.clear_margin\n\nimport rego.v1\n\nactions := {"promotion/champion"}\n\n'


def _solution(evidence: Evidence) -> str:
    """The reference with the two lines that the learner fills in."""
    text = re.sub(r"percent := \d+", f"percent := {evidence.scenario.knobs['margin-percent']}", SOLUTION)
    return re.sub(r"rows := \d+", f"rows := {evidence.scenario.knobs['margin-rows']}", text)


def _truth(text: str, seed: int = 1) -> Truth:
    lab = World(seed=seed).evidence()
    evidence = rules.with_trial(PACK, QUESTION, text or _solution(lab), lab)
    return PACK.truth(QUESTION)(evidence, evidence.variant)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_reference_is_right_for_every_variant(seed: int) -> None:
    found = _truth("", seed)
    assert found.answer == 1.0, found.saw


def test_thresholds_of_another_seed_are_not_enough() -> None:
    seeds = {World(seed=s).scenario.knobs["margin-percent"]: s for s in range(1, 13)}
    lowest, highest = seeds[min(seeds)], seeds[max(seeds)]
    assert _truth(_solution(World(seed=lowest).evidence()), highest).answer < 1


@pytest.mark.parametrize("always", ["allow := true\n", "default allow := false\n\nallow if false\n"])
def test_a_constant_answer_earns_nothing(always: str) -> None:
    assert _truth(HEADER + always).answer == 0


def test_categories_are_named_and_inputs_are_not() -> None:
    careless = SOLUTION.replace(
        "version.value <= (input.evidence.champion.value * (100 - percent)) / 100", "version.value >= 0"
    )
    found = _truth(careless)
    assert 0 < found.answer < 1
    assert "less is better" in found.saw
    assert "champion" not in re.sub(r"the champion|first champion|former champion", "", found.saw)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEADER + "allow if http.send({}).status == 200\n", "http.send is not allowed"),
        (HEADER + "allow if time.now_ns() > 0\n", "time.now_ns is not allowed"),
        (HEADER + "allow if nobody == 1\n", "nobody is never given a value"),
        (HEADER + "allow if {\n", "clear_margin.rego"),
        ("package other\n", "the package has to be"),
    ],
)
def test_a_faulty_rule_is_not_run_and_says_where(text: str, why: str) -> None:
    found = _truth(text)
    assert found.answer == 0
    assert why in found.saw


def test_what_was_recorded_can_be_judged_again_without_an_engine() -> None:
    evidence = rules.with_trial(PACK, QUESTION, _solution(World().evidence()), World().evidence())
    kept = Evidence.model_validate_json(evidence.model_dump_json())
    found = PACK.truth(QUESTION)(kept, kept.variant)
    assert grade(QUESTION, found, kept.trial.text if kept.trial else "").verdict is Verdict.CORRECT


def test_cases_hold_both_sides_and_every_kind_of_damage() -> None:
    lab = World().evidence()
    cases: list[RuleCase] = list(PACK.cases["margin_cases"](lab, lab.variant))
    assert {case.allow for case in cases} == {True, False}
    assert {"a field is missing", "a field has the wrong type"} <= {case.category for case in cases}


def test_a_rule_file_is_read_with_its_limits(tmp_path: Path) -> None:
    for content_bytes in (b"\xff\xfe", b"x" * 20_000):
        file = tmp_path / "rule.rego"
        file.write_bytes(content_bytes)
        with pytest.raises(InvalidAnswerError):
            rules.read(file)
