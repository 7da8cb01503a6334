"""Designs as answers: what can be read, what an attempt costs, what stays gradable with the lab gone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from archlab.errors import TargetError, UserError
from archlab.grading.answers import InvalidAnswerError, parse, sound
from archlab.grading.content import Pack, load
from archlab.grading.practice import Practice
from archlab.spec.experiments import DesignTrial
from archlab.spec.grading import Evidence, Question, Truth, Verdict
from archlab.spec.scenario import Overrides, Variant
from clocks import Laboratory
from trials import trial

QUESTION = """\
  - id: shape
    title: Shape it
    kind: design
    text: How?
    truth: shaped
    points: 20
    minutes: 10
    difficulty: hard
    competencies: [ARC-01]
    domains: [PMLE/G4]
    design: {reference: good, naive: [lazy]}
    explanation: "Net {net:.2f} USD."
"""
TRUTH = """
from archlab.experiments.scoring import judge

def shaped(evidence, variant):
    return judge(evidence)
"""
DESIGNS = """\
from archlab.spec.scenario import Overrides

def good(scenario, demand):
    return Overrides()

lazy = good
"""
DESIGN = "models: {flight-time: {mode: batch, batch_every: P1D}, arrival-delay: {replicas: 1}}"


@pytest.fixture
def designed(folder: Path) -> Pack:
    with (folder / "questions.yaml").open("a") as file:
        file.write(QUESTION)
    with (folder / "truths.py").open("a") as file:
        file.write(TRUTH)
    (folder / "designs.py").write_text(DESIGNS)
    return load(folder)


def _practice(pack: Pack, lab: Path, outcome: DesignTrial | Exception) -> Practice:
    def measure(_question: Question, _design: Overrides) -> DesignTrial:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Practice(pack, lab, Laboratory().collect, measure)


def test_a_design_is_read_as_the_overrides_that_it_means(designed: Pack) -> None:
    question = designed.question("shape")
    value = parse(question, DESIGN)
    assert Overrides.model_validate(value).models["arrival-delay"].replicas == 1
    assert sound(question, value)
    assert parse(question, " lab\n") is None
    assert not sound(question, {"models": {"flight-time": {"mode": "sometimes"}}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [", "no YAML"),
        ("just words", "no mapping"),
        ("models: {flight-time: {mode: sometimes}}", "models.flight-time.mode"),
        ("models: {flight-time: {replicas: 99}}", "models.flight-time.replicas"),
        ("colour: red", "colour"),
        ("x" * 30_000, "20,000"),
    ],
)
def test_an_unreadable_design_spends_no_attempt(designed: Pack, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidAnswerError, match=said):
        parse(designed.question("shape"), text)
    practice = _practice(designed, tmp_path / "lab", AssertionError("nothing may be measured"))
    assert practice.answer("shape", text).verdict is Verdict.INVALID
    assert practice.standing("shape").spent == 0


def test_a_scratch_lab_that_fails_is_our_fault_and_names_the_unit(designed: Pack, tmp_path: Path) -> None:
    failed = TargetError("online-0 of the scratch lab did not come up.", unit="online-0")
    practice = _practice(designed, tmp_path / "lab", failed)
    outcome = practice.answer("shape", DESIGN)
    assert outcome.verdict is Verdict.PLATFORM_ERROR
    assert "online-0" in outcome.message
    assert practice.standing("shape").spent == 0


def test_a_design_that_names_what_is_not_there_is_invalid(designed: Pack, tmp_path: Path) -> None:
    practice = _practice(designed, tmp_path / "lab", UserError("There is no model 'concorde'."))
    outcome = practice.answer("shape", "models: {concorde: {replicas: 1}}")
    assert (outcome.verdict, practice.standing("shape").spent) == (Verdict.INVALID, 0)
    assert "concorde" in outcome.message


def test_what_was_measured_is_kept_and_graded_again_with_everything_gone(designed: Pack, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    outcome = _practice(designed, lab, trial(15)).answer("shape", DESIGN)
    assert (outcome.verdict, outcome.points) == (Verdict.PARTIAL, 10)
    later = _practice(designed, lab, AssertionError("nothing is measured again"))
    (again,) = later.regrade()
    assert again.agrees
    evidence = later.store.get(later.standing("shape").attempts[0].evidence)
    assert evidence.design == trial(15)


def test_a_truth_that_changed_its_mind_shows_in_the_regrade(designed: Pack, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    _practice(designed, lab, trial(15)).answer("shape", DESIGN)

    def harsher(_evidence: Evidence, _variant: Variant) -> Truth:
        return Truth(answer=0.0, saw="No.")

    changed = dataclasses.replace(designed, truths={**designed.truths, "shaped": harsher})
    (again,) = _practice(changed, lab, trial(15)).regrade()
    assert not again.agrees


def test_evidence_from_before_designs_can_still_be_read(designed: Pack, tmp_path: Path) -> None:
    practice = _practice(designed, tmp_path / "lab", trial(15))
    old = Laboratory().collect().model_dump(mode="json", exclude={"sweeps", "calibration", "design"})
    assert Evidence.model_validate(old).sweeps == ()
    assert practice.answer("pick", "right").verdict is Verdict.CORRECT
