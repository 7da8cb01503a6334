"""What makes two replays the same: answers and labels, not how long anything took. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pydantic_core import to_json

from archlab.spec.airline import Answer, Label, Timeliness

MEASURED = {"latency_ms"}
DIGITS = 4
"""Significant digits of a prediction that count: a row scored in a batch may differ in the last bits from one alone."""


def tick_digest(answers: Iterable[Answer], labels: Iterable[Label]) -> str:
    """SHA-256 over answers without measured times (late counts as in time) and labels."""
    running = hashlib.sha256()
    for answer in answers:
        running.update(to_json(_seen(answer)))
    for label in labels:
        running.update(to_json(label.model_dump(mode="json")))
    return running.hexdigest()


def chained(digests: Iterable[str]) -> str:
    """One digest for a sequence of ticks."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _seen(answer: Answer) -> dict[str, object]:
    fields = answer.model_dump(mode="json", exclude=MEASURED)
    if answer.prediction is not None:
        fields["prediction"] = f"{answer.prediction:.{DIGITS}g}"
    if answer.timeliness is Timeliness.LATE:
        fields["timeliness"] = Timeliness.ON_TIME.value
    return fields
