"""The verdict on one answer: a pure function of question, truth and answer.

Partial points, the same everywhere: multi earns (right − wrong) / all right ones; order earns the share of pairs that
stand the right way round, if more than half do; a numeric near miss earns half where the question declares
`near_percent`; a forecast of keys counts like multi. What a design earns is said where it is scored,
`archlab.experiments.scoring`, and what a rule earns in `archlab.grading.rules`.
"""

from __future__ import annotations

import string
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from archlab.grading.answers import sound
from archlab.grading.content import TruthFunction
from archlab.spec.grading import Evidence, Question, QuestionKind, Truth, Verdict
from archlab.spec.scenario import Variant

NEAR_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Grade:
    """What an answer is worth before hints and repeated attempts are taken off."""

    verdict: Verdict
    share: float
    """Of the question's points, 0 to 1."""
    message: str
    explanation: str = ""
    """With the learner's own figures; shown when the question is settled."""
    trace: str = ""
    """Where the truth, or a declared mistake, failed."""
    counts: bool = True
    """False when nobody could have known: the fault is ours, or the lab is too close to call."""
    mistake: str = ""
    """Name of the declared mistake that the answer shows."""


def ask(truth: TruthFunction, evidence: Evidence, variant: Variant) -> Truth | Grade:
    """What the truth says, or the platform error that it raised."""
    try:
        return truth(evidence, variant)
    except Exception as error:  # noqa: BLE001 - content may fail in any way; the learner must not pay for it
        name = getattr(truth, "__name__", "the truth")
        return Grade(
            Verdict.PLATFORM_ERROR,
            0.0,
            f"{name} could not be computed from your lab's evidence ({type(error).__name__}: {error}). "
            "This is our fault: no attempt is spent. The lab's log grading.log has the trace.",
            trace="".join(traceback.format_exception(error)),
            counts=False,
        )


def grade(question: Question, truth: Truth | Grade, answer: Any) -> Grade:
    """Judge an answer (as `answers.parse` gives it; ignored for state questions)."""
    if isinstance(truth, Grade):
        return truth
    if not sound(question, answer):
        return Grade(Verdict.INVALID, 0.0, "The answer is none that this question takes.")
    if truth.blocked:
        return Grade(Verdict.BLOCKED, 0.0, truth.blocked)
    explanation = explain(question.explanation, truth.facts)
    if truth.interval and truth.answer is None:
        low, high = truth.interval
        text = f"Your measurements lie between {low:g} and {high:g}: too close to call, so nothing is graded."
        return Grade(Verdict.BLOCKED, 0.0, f"{text} {truth.saw}".strip(), counts=False)
    share, message = _JUDGES[question.kind](question, truth, answer)
    verdict = Verdict.CORRECT if share >= 1 else Verdict.PARTIAL if share > 0 else Verdict.INCORRECT
    return Grade(verdict, share, message, explanation)


def explain(template: str, facts: Mapping[str, str | int | float]) -> str:
    """The explanation with the learner's figures; one that the truth did not give shows as `?`."""
    return _Explainer().vformat(template, (), dict(facts))


class _Explainer(string.Formatter):
    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        return kwargs.get(field_name, "?"), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        try:
            return "?" if value == "?" else str(super().format_field(value, format_spec))
        except ValueError:
            return str(value)


def _choice(question: Question, truth: Truth, answer: str) -> tuple[float, str]:
    if answer == truth.answer:
        return 1.0, "That is right for your lab."
    return 0.0, _misconceptions(question, [answer]) or f"{answer} is not it."


def _multi(question: Question, truth: Truth, answer: Sequence[str]) -> tuple[float, str]:
    right, given = set(truth.answer), set(answer)
    if right == given:
        return 1.0, "All of them, and no other."
    wrong = sorted(given - right)
    share = max(0.0, (len(given & right) - len(wrong)) / len(right)) if right else 0.0
    said = [f"{len(given & right)} of your {len(given)} belong there."]
    if right - given:
        said.append("At least one is missing.")
    return min(share, 0.99), " ".join([*said, _misconceptions(question, wrong)]).strip()


def _order(_question: Question, truth: Truth, answer: Sequence[str]) -> tuple[float, str]:
    ranks = ranking(truth.answer)
    pairs = [(a, b) for a, b in combinations(answer, 2) if ranks[a] != ranks[b]]
    agreeing = sum(ranks[a] < ranks[b] for a, b in pairs)
    if agreeing == len(pairs):
        return 1.0, "The order is right."
    share = agreeing / len(pairs)
    return (share if share > 0.5 else 0.0), f"{agreeing} of {len(pairs)} pairs stand the right way round."


def ranking(order: Sequence[str | Sequence[str]]) -> dict[str, int]:
    """Rank of each key; keys in a list of their own are tied."""
    return {k: rank for rank, group in enumerate(order) for k in ([group] if isinstance(group, str) else group)}


def _number(question: Question, truth: Truth, answer: float) -> tuple[float, str]:
    wanted = float(truth.answer)
    low, high = truth.interval or (wanted, wanted)
    off = max(low - answer, answer - high, 0.0)
    allowed = abs(wanted) / 100
    if off <= allowed * (question.tolerance_percent or 0):
        return 1.0, f"Within {question.tolerance_percent:g} % of what your lab shows."
    side = "low" if answer < low else "high"
    if question.near_percent and off <= allowed * question.near_percent:
        return NEAR_SHARE, f"Close: a little too {side}. Within {question.tolerance_percent:g} % counts in full."
    return 0.0, f"Too {side}."


def _predict(question: Question, truth: Truth, answer: Any) -> tuple[float, str]:
    if question.options:
        share, message = _multi(question, truth, answer)
        return share, f"You forecast {', '.join(answer)}; it became {', '.join(sorted(truth.answer))}. {message}"
    share, message = _number(question, truth, answer)
    unit = f" {question.unit}" if question.unit else ""
    return share, f"You forecast {answer:,.4g}{unit}; it became {float(truth.answer):,.4g}{unit}. {message}"


def _rego(_question: Question, truth: Truth, _answer: Any) -> tuple[float, str]:
    return min(1.0, max(0.0, float(truth.answer))), truth.saw


def _state(_question: Question, truth: Truth, _answer: Any) -> tuple[float, str]:
    if truth.answer is True:
        return 1.0, truth.saw or "The platform is in the state asked for."
    return 0.0, f"Looked for: {truth.looked_for} Seen: {truth.saw}"


def _design(_question: Question, truth: Truth, _answer: Any) -> tuple[float, str]:
    return min(1.0, max(0.0, float(truth.answer))), truth.saw


_JUDGES: dict[QuestionKind, Callable[[Question, Truth, Any], tuple[float, str]]] = {
    QuestionKind.CHOICE: _choice,
    QuestionKind.MULTI: _multi,
    QuestionKind.ORDER: _order,
    QuestionKind.NUMERIC: _number,
    QuestionKind.PREDICT: _predict,
    QuestionKind.STATE: _state,
    QuestionKind.DESIGN: _design,
    QuestionKind.REGO: _rego,
}


def _misconceptions(question: Question, keys: Sequence[str]) -> str:
    return " ".join(o.misconception for o in question.options if o.key in keys and o.misconception)
