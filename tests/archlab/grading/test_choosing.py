"""Questions of an exam: repeatable, even over the domains, within the time."""

from __future__ import annotations

from collections import Counter

import pytest

from archlab.errors import UserError
from archlab.grading.choosing import choose
from archlab.grading.content import load
from archlab.spec.grading import Question, QuestionKind
from synthetic import ten_models


def _question(name: str, *domains: str, minutes: int = 5) -> Question:
    return Question(
        id=name, title=name, kind=QuestionKind.STATE, text="", truth="t", points=1, minutes=minutes,
        difficulty="easy", competencies=("SRV-01",), domains=domains, explanation="",
    )  # fmt: skip


POOL = [*(_question(f"a{n}", "PMLE/G4") for n in range(6)), _question("b", "PMLE/G5"), _question("c", "KCNA/K2")]


@pytest.mark.parametrize("seed", range(8))
def test_every_domain_comes_before_one_comes_again(seed: int) -> None:
    drawn = choose(POOL, minutes=60, count=3, seed=seed)
    assert {q.domains[0] for q in drawn} == {"PMLE/G4", "PMLE/G5", "KCNA/K2"}


def test_a_seed_draws_the_same_and_another_something_else() -> None:
    draws = [tuple(q.id for q in choose(POOL, minutes=60, count=4, seed=seed)) for seed in (1, 1, 2, 3, 4)]
    assert draws[0] == draws[1]
    assert len(set(draws)) > 1


def test_without_a_number_as_many_as_fit() -> None:
    assert len(choose(POOL, minutes=17, seed=1)) == 3
    with pytest.raises(UserError, match="fits into 4 minutes"):
        choose(POOL, minutes=4)


def test_one_blueprint_alone() -> None:
    assert {q.id for q in choose(POOL, minutes=60, exam="KCNA")} == {"c"}
    with pytest.raises(UserError, match="1 questions for KCNA, not 2"):
        choose(POOL, minutes=60, count=2, exam="KCNA")


def test_an_hour_of_the_ten_models_touches_most_of_its_domains() -> None:
    questions = load(ten_models()).questions
    known = {d for q in questions for d in q.domains}
    drawn = choose(questions, minutes=60, seed=3)
    asked = Counter(d for q in drawn for d in q.domains)
    assert sum(q.minutes for q in drawn) <= 60
    assert len(asked) >= 0.6 * len(known)


def test_designs_are_not_drawn_since_measuring_takes_an_exams_time() -> None:
    questions = load(ten_models()).questions
    assert any(q.kind is QuestionKind.DESIGN for q in questions)
    for seed in range(8):
        assert all(q.kind is not QuestionKind.DESIGN for q in choose(questions, minutes=240, seed=seed))
