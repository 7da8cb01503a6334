"""What was practised, against what exams ask. Never a readiness: a lab can't know what an exam will weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from archlab.errors import NotFoundError
from archlab.plan import loading
from archlab.settings import scenarios_root
from archlab.spec.blueprint import Blueprints, Domain
from archlab.spec.grading import Question

STRENGTH, GAP = 0.8, 0.5
"""Shares of the points from which a competency is called a strength, and below which a gap."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question and what it earned, in practice or in an exam."""

    question: Question
    answered: bool
    points: float
    possible: float


@dataclass(frozen=True, slots=True)
class Score:
    """Items taken together."""

    items: tuple[Item, ...]

    @property
    def answered(self) -> int:
        """How many were tried."""
        return sum(i.answered for i in self.items)

    @property
    def points(self) -> float:
        """Earned."""
        return round(sum(i.points for i in self.items), 2)

    @property
    def possible(self) -> float:
        """Of this many."""
        return sum(i.possible for i in self.items)

    @property
    def standing(self) -> Literal["strength", "between", "gap", "not tried"]:
        """By the share of points; nothing is said of what was not tried."""
        if not self.answered or not self.possible:
            return "not tried"
        share = self.points / self.possible
        return "strength" if share >= STRENGTH else "gap" if share < GAP else "between"


@dataclass(frozen=True, slots=True)
class Practised:
    """One domain of an exam."""

    id: str
    domain: Domain
    score: Score
    """Of the items that belong to it."""
    here: int
    """How many questions of the scenario belong to it; 0: it can't be practised here."""


def load() -> Blueprints:
    """The blueprints that ship with the scenarios."""
    return loading.load(scenarios_root() / "blueprints.yaml", Blueprints)


def by_competency(items: Sequence[Item]) -> dict[str, Score]:
    """Every competency that the items touch, in order of name."""
    names = sorted({name for i in items for name in i.question.competencies})
    return {name: Score(tuple(i for i in items if name in i.question.competencies)) for name in names}


def by_domain(
    blueprints: Blueprints, exam: str, items: Sequence[Item], questions: Sequence[Question]
) -> tuple[Practised, ...]:
    """Every domain of an exam, also those that nothing here practises.

    Args:
        blueprints: all of them.
        exam: which one.
        items: what was asked and earned.
        questions: everything that the scenario could ask.

    Raises:
        NotFoundError: there is no such exam, or it is retired; says since when.
    """
    found: list[Practised] = []
    for name, domain in _known(blueprints, exam).items():
        full = f"{exam}/{name}"
        score = Score(tuple(i for i in items if full in i.question.domains))
        found.append(Practised(name, domain, score, sum(full in q.domains for q in questions)))
    return tuple(found)


def exams_of(blueprints: Blueprints, items: Sequence[Item]) -> tuple[str, ...]:
    """Exams that at least one item belongs to."""
    touched = {domain.split("/")[0] for i in items for domain in i.question.domains}
    return tuple(exam for exam in blueprints.exams if exam in touched)


def _known(blueprints: Blueprints, exam: str) -> dict[str, Domain]:
    if exam in blueprints.exams:
        return blueprints.exams[exam].domains
    if exam in blueprints.retired:
        after = next((name for name, found in blueprints.exams.items() if found.supersedes == exam), "")
        raise NotFoundError(
            f"{exam} was retired on {blueprints.retired[exam]}.", f"Its successor is {after}." if after else ""
        )
    raise NotFoundError(f"There is no blueprint {exam!r}.", f"Known: {', '.join(blueprints.exams)}.")
