"""From evidence to the verdict on an answer, with the misconception that led to a wrong one named."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from archlab.grading.content import Pack
from archlab.grading.grade import Grade, ask, grade, ranking
from archlab.spec.grading import Evidence, Mistake, Question, QuestionKind, Verdict

WRONG = (Verdict.PARTIAL, Verdict.INCORRECT)


def judge(pack: Pack, question: Question, evidence: Evidence, answer: Any) -> Grade:
    """The verdict on an answer (as `answers.parse` gives it), by the truth of this evidence's variant.

    A wrong answer that a declared mistake leads to is told its misconception. A mistake that can't be computed costs
    the learner nothing: the verdict stands without it, and the trace says why.
    """
    judged = grade(question, ask(pack.truth(question), evidence, evidence.variant), answer)
    return _named(pack, question, evidence, answer, judged) if judged.verdict in WRONG else judged


def _named(pack: Pack, question: Question, evidence: Evidence, answer: Any, judged: Grade) -> Grade:
    for mistake in question.mistakes:
        try:
            led_to = pack.mistakes[mistake.name](evidence, evidence.variant)
            if alike(question, led_to, answer):
                message = f"{judged.message} {mistake.misconception.strip()}"
                return replace(judged, message=message, mistake=mistake.name)
        except Exception as error:  # noqa: BLE001 - content may fail in any way; the verdict does not hang on it
            judged = replace(judged, trace=judged.trace + _trace(mistake, error))
    return judged


def alike(question: Question, led_to: Any, answer: Any) -> bool:
    """Whether an answer is the one that a mistake leads to: numbers within the question's tolerance."""
    if led_to is None:
        return False
    if question.kind is QuestionKind.PREDICT and question.options:
        return _same_keys(question, led_to, answer)
    return bool(_ALIKE.get(question.kind, _equal)(question, led_to, answer))


def _equal(_question: Question, led_to: Any, answer: Any) -> bool:
    return bool(led_to == answer)


def _same_keys(_question: Question, led_to: Sequence[str], answer: Sequence[str]) -> bool:
    return set(led_to) == set(answer)


def _same_order(_question: Question, led_to: Sequence[str | Sequence[str]], answer: Sequence[str]) -> bool:
    ranks = ranking(led_to)
    return all(ranks[a] <= ranks[b] for a, b in combinations(answer, 2))


def _near(question: Question, led_to: Any, answer: Any) -> bool:
    """A number within the tolerance; of a forecast of keys, the same keys."""
    if question.options:
        return set(led_to) == set(answer)
    return math.isclose(led_to, answer, rel_tol=(question.tolerance_percent or 0) / 100)


def _seen(_question: Question, led_to: bool, _answer: Any) -> bool:
    """What a lab, a trial or a measurement shows, no answer can be compared with."""
    return led_to is True


_ALIKE: dict[QuestionKind, Callable[[Question, Any, Any], bool]] = {
    QuestionKind.MULTI: _same_keys,
    QuestionKind.ORDER: _same_order,
    QuestionKind.NUMERIC: _near,
    QuestionKind.PREDICT: _near,
    QuestionKind.STATE: _seen,
    QuestionKind.REGO: _seen,
    QuestionKind.DESIGN: _seen,
}


def _trace(mistake: Mistake, error: Exception) -> str:
    return f"mistake {mistake.name}\n{''.join(traceback.format_exception(error))}"
