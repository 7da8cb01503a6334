"""docs/instructor.md: lessons end in time, name questions and options that there are, and count points rightly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archlab.grading import content
from archlab.plan.loading import scenario_folder
from archlab.spec.grading import QuestionKind

TEXT = (Path(__file__).parents[3] / "docs" / "instructor.md").read_text()
PACK = content.load(scenario_folder("five-teams"))
POINTS = {q.id: q.points for q in PACK.questions}
LESSONS = {
    int(m[1]): m[2] for m in re.finditer(r"^## (\d+) minutes:.*?\n(.*?)(?=^## )", TEXT, re.MULTILINE | re.DOTALL)
}


def test_there_are_lessons_of_three_lengths() -> None:
    assert set(LESSONS) == {25, 45, 90}


@pytest.mark.parametrize("minutes", sorted(LESSONS))
def test_a_lesson_goes_forward_and_ends_in_time(minutes: int) -> None:
    begins = [int(m) for m in re.findall(r"^\| (\d+) \|", LESSONS[minutes], re.MULTILINE)]
    assert begins == sorted(set(begins))
    assert begins[0] == 0
    assert begins[-1] < minutes


@pytest.mark.parametrize("minutes", sorted(LESSONS))
def test_a_lesson_says_all_that_an_instructor_asks(minutes: int) -> None:
    for part in ("Goal", "Prepare", "They should find out", "Talk about", "Grade"):
        assert f"**{part}.**" in LESSONS[minutes]


def test_questions_of_the_lessons_are_the_scenarios() -> None:
    named = {name for name in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", TEXT) if name != "five-teams"}
    named |= set(re.findall(r"^    archlab (?:question|quiz|answer|grade|design) ([a-z-]+)", TEXT, re.MULTILINE))
    assert named <= set(POINTS)
    assert len(named) > 15


def test_answers_that_are_typed_are_answers() -> None:
    typed = re.findall(r"^    archlab answer ([a-z-]+) (\S+)$", TEXT, re.MULTILINE)
    assert typed
    for name, value in typed:
        question = PACK.question(name)
        assert question.kind is QuestionKind.DESIGN or value in {o.key for o in question.options}


def test_the_points_of_the_lessons_add_up() -> None:
    assert POINTS["what-holds-it"] == 10
    second = ("fair-share", "whose-bill-moves", "leaving-saves", "outside-offer", "job-on-the-bill")
    assert sum(POINTS[name] for name in second) == 60
    assert (POINTS["hold-the-neighbour"], POINTS["quota-that-bites"] + POINTS["what-quotas-say"]) == (25, 30)
    roles = (
        ("never-pays", "dearest-answer", "one-profile-for-all"),
        ("who-may-lend", "may-it-use", "just-enough"),
        ("own-servers-for-whom", "whom-to-ask", "lent-not-raised"),
    )
    assert {sum(POINTS[name] for name in names) for names in roles} == {35, 40}
    assert POINTS["lent-narrowly"] == 20
