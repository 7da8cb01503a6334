"""Practice scoring: repeated attempts and hints cost, the best attempt counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archlab.spec.gradebook import Attempt, Entry, Forecast, HintUse
from archlab.spec.grading import Hint, Question, QuestionKind, Verdict

ATTEMPT_SHARES = (1.0, 0.7, 0.4)
"""What the first, second and third attempt can earn; later ones earn nothing. State questions do not decay."""

SPENDING = (Verdict.CORRECT, Verdict.PARTIAL, Verdict.INCORRECT)
"""Verdicts that spend an attempt."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a learner stands with one question."""

    question: Question
    spent: int
    taken: tuple[Hint, ...]
    """Hints that were paid for, in that order."""
    hint_cost_percent: int
    points: float
    """Of the best attempt."""
    attempts: tuple[Attempt, ...]
    """All of them, oldest first."""
    last: Attempt | None
    forecast: Forecast | None
    """Committed and not yet graded."""

    @property
    def hints(self) -> int:
        """How many were taken."""
        return len(self.taken)

    @property
    def next_hints(self) -> tuple[Hint, ...]:
        """Of these the first that fits the lab comes next; empty when there is none, or nothing left to earn by it."""
        left = [h for h in self.question.hints if h not in self.taken]
        always = next((n for n, h in enumerate(left, 1) if not h.when), len(left))
        return () if self.settled else tuple(left[:always])

    @property
    def attempt_share(self) -> float:
        """What the next attempt can earn, as a share of the question's points, before hints."""
        if self.question.kind is QuestionKind.STATE:
            return 1.0
        return ATTEMPT_SHARES[self.spent] if self.spent < len(ATTEMPT_SHARES) else 0.0

    @property
    def attainable(self) -> float:
        """Points that the next attempt can earn."""
        return round(self.question.points * self.attempt_share * (1 - self.hint_cost_percent / 100), 2)

    @property
    def settled(self) -> bool:
        """Right once, or nothing more to earn: the explanation may be shown."""
        return self.attempt_share == 0 or (self.last is not None and self.last.verdict is Verdict.CORRECT)


def rule(question: Question) -> str:
    """How points decay, for people."""
    if question.kind is QuestionKind.STATE:
        return "checked as often as you like; only hints cost"
    first, second, third = (f"{round(100 * share)} %" for share in ATTEMPT_SHARES)
    return f"the first attempt can earn {first}, the second {second}, the third {third}, later ones nothing; hints cost"


def standing(question: Question, entries: Sequence[Entry]) -> Standing:
    """Where the gradebook says that a question stands."""
    attempts = [e for e in entries if isinstance(e, Attempt) and e.question == question.id]
    hints = [e for e in entries if isinstance(e, HintUse) and e.question == question.id]
    forecasts = [e for e in entries if isinstance(e, Forecast) and e.question == question.id]
    spending = [a for a in attempts if a.verdict in SPENDING]
    graded_until = spending[-1].sequence if spending else 0
    open_forecast = forecasts[-1] if forecasts and forecasts[-1].sequence > graded_until else None
    return Standing(
        question=question,
        spent=len(spending),
        taken=tuple(question.hints[h.hint - 1] for h in hints if h.hint <= len(question.hints)),
        hint_cost_percent=min(100, sum(h.cost_percent for h in hints)),
        points=max((a.points for a in attempts), default=0.0),
        attempts=tuple(attempts),
        last=attempts[-1] if attempts else None,
        forecast=open_forecast,
    )
