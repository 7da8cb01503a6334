"""What the business asks and learns in a stretch of time, sorted into ticks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from archlab.spec.airline import Label
from archlab.spec.business import Business
from archlab.spec.scenario import Scenario
from archlab.world.calling import Question

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Happening:
    """One tick: questions in the order of their time, and labels that become known."""

    questions: tuple[Question, ...]
    labels: tuple[Label, ...]


def happenings(business: Business, data: Path, scenario: Scenario, ticks: Sequence[Span]) -> list[Happening]:
    """Everything with start < moment <= end, per tick; ticks follow one another."""
    start, end = ticks[0][0], ticks[-1][1]
    ends = [tick_end for _, tick_end in ticks]
    questions: list[list[Question]] = [[] for _ in ticks]
    labels: list[list[Label]] = [[] for _ in ticks]
    for model in scenario.models:
        for ask in business.asks(data, model.name, model.caller, start, end):
            questions[bisect_left(ends, ask.asked)].append(Question(model, ask))
        for label in business.labels(data, model.name, model.caller, start, end):
            labels[bisect_left(ends, label.known)].append(label)
    return [
        Happening(
            tuple(sorted(asked, key=lambda q: (q.ask.asked, q.id))),
            tuple(sorted(known, key=lambda label: (label.known, label.model, label.subject, label.asked))),
        )
        for asked, known in zip(questions, labels, strict=True)
    ]
