"""Whether a model's answer is right, for callers who know it beforehand. Pure."""

from __future__ import annotations

from typing import Any

from archlab.spec.drill import Question

TOLERANCE = 1e-3


def is_right(content: Any, question: Question) -> bool:
    """Whether an answer in the Open Inference Protocol says what it should."""
    value = value_of(content)
    return value is not None and is_close(value, question)


def is_close(value: float, question: Question) -> bool:
    """Whether it is the answer, but for rounding."""
    return abs(value - question.answer) <= TOLERANCE


def value_of(content: Any) -> float | None:
    """The one number of an answer; None when it has another form."""
    try:
        (value,) = content["outputs"][0]["data"]
        return float(value)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
