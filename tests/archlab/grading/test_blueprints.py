"""Exam blueprints: sound data, and what was practised against them."""

from __future__ import annotations

import pytest

from archlab.cli import _app
from archlab.errors import NotFoundError
from archlab.grading import blueprints
from archlab.grading.blueprints import Item, Score
from archlab.grading.content import load
from archlab.spec.blueprint import Blueprints
from archlab.spec.grading import Question
from synthetic import ten_models


@pytest.fixture(scope="module")
def known() -> Blueprints:
    return blueprints.load()


@pytest.fixture(scope="module")
def questions() -> tuple[Question, ...]:
    return load(ten_models()).questions


def _items(questions: tuple[Question, ...], share: float) -> list[Item]:
    return [Item(q, True, q.points * share, q.points) for q in questions]


def test_every_question_maps_to_a_competency_and_a_domain_of_it(
    known: Blueprints, questions: tuple[Question, ...]
) -> None:
    for question in questions:
        assert question.competencies
        assert question.domains
        allowed = {d for c in question.competencies for d in known.competencies[c].domains}
        assert set(question.domains) <= allowed, question.id


def test_weights_are_as_published(known: Blueprints) -> None:
    sums = {
        exam: sum(int(d.weight) for d in found.domains.values())
        for exam, found in known.exams.items()
        if all(d.weight.isdigit() for d in found.domains.values())
    }
    assert sums == {"AIP-C01": 100, "MLA-C02": 100, "PMLE": 101, "DBX-GENAI": 100, "NCA-GENL": 100, "KCNA": 100}


def test_every_domain_belongs_to_a_competency_or_can_not_be_practised(known: Blueprints) -> None:
    mapped = {d for c in known.competencies.values() for d in c.domains}
    every = {f"{exam}/{d}" for exam, found in known.exams.items() for d in found.domains}
    assert every - mapped == {"PMLE/G1"}


def test_commands_that_are_named_exist(known: Blueprints) -> None:
    from typer.main import get_command

    root = get_command(_app())
    for competency in known.competencies.values():
        for command in competency.practise:
            found = root
            for word in command.split():
                commands = getattr(found, "commands", {})
                assert word in commands, command
                found = commands[word]


def test_what_can_not_be_practised_is_shown(known: Blueprints, questions: tuple[Question, ...]) -> None:
    found = {p.id: p for p in blueprints.by_domain(known, "PMLE", _items(questions, 1.0), questions)}
    assert list(found) == ["G1", "G2", "G3", "G4", "G5", "G6"]
    assert (found["G1"].here, found["G1"].score.items) == (0, ())
    assert found["G4"].score.answered > 3
    assert "PMLE" in blueprints.exams_of(known, _items(questions, 1.0))
    assert "AI-103" not in blueprints.exams_of(known, _items(questions, 1.0))


@pytest.mark.parametrize(("share", "standing"), [(1.0, "strength"), (0.6, "between"), (0.2, "gap")])
def test_strengths_and_gaps(questions: tuple[Question, ...], share: float, standing: str) -> None:
    found = blueprints.by_competency(_items(questions, share))
    assert {score.standing for score in found.values()} == {standing}


def test_nothing_is_said_of_what_was_not_tried(questions: tuple[Question, ...]) -> None:
    assert Score(tuple(Item(q, False, 0, q.points) for q in questions)).standing == "not tried"


def test_a_retired_exam_says_so(known: Blueprints) -> None:
    with pytest.raises(NotFoundError, match=r"retired on 2026-09-28\. Its successor is MLA-C02"):
        blueprints.by_domain(known, "MLA-C01", [], [])
    with pytest.raises(NotFoundError, match="no blueprint"):
        blueprints.by_domain(known, "XYZ", [], [])
