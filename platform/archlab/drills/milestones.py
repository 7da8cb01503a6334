"""From a report's events to the moments that a reader asks for: fault, detection, decision, promotion. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from archlab.drills.measure import DECIDED, DECLARED, DETECTED, ORDERED, usual_in_a_row
from archlab.spec.drill import DrillReport, Event, Kind, Measured

ROLLBACKS, PAIRED = "rollbacks begin", "pair"
PROMOTED = {"promote": "Promotion", "take writes": "Restore", "roll back": "Rollback", "start engine": "Restart"}
"""Steps of runbooks after which a service is whole again, and what a reader calls them."""
ABOUT = {Kind.WRITE: "writes", Kind.READ: "reads", Kind.PREDICT: "predictions", Kind.PROMOTE: "promotions"}


class Milestone(NamedTuple):
    """One moment."""

    name: str
    at_s: float
    """After the fault that the clocks start from."""
    detail: str
    clock: str
    """Whose."""


def fault_at(report: DrillReport) -> float | None:
    """When the fault was that the clocks start from, on the report's clock; None when there was none."""
    if report.measured is None:
        return None
    return next((e.at for e in reversed(report.events) if e.name == report.measured.fault), None)


def outage(report: DrillReport) -> tuple[Milestone, ...]:
    """From the fault to the first good answer, in the order of time; what never came is not in it."""
    zero = fault_at(report)
    if zero is None or report.measured is None:
        return ()
    return tuple(sorted(_outage(report, report.measured, zero), key=lambda m: m.at_s))


def _outage(report: DrillReport, seen: Measured, zero: float) -> Iterator[Milestone]:
    yield Milestone("Fault", 0.0, seen.fault, "the drill’s")
    ends = moment(report, ROLLBACKS)
    told = {DETECTED: "Detection", DECIDED: "Decision", DECLARED: "Your detection", ORDERED: "Your order", **PROMOTED}
    for event in report.events:
        if event.at < zero or (ends is not None and event.at > ends):
            continue
        if name := told.get(event.name):
            yours = event.name in (DECLARED, ORDERED) or (event.name == DECIDED and report.by_hand)
            whose = "yours" if yours else "the platform’s"
            yield Milestone(name, event.at - zero, event.detail, whose)
    if seen.rto_s:
        row = usual_in_a_row(report.about)
        yield Milestone(
            "First good answer", seen.rto_s, f"the first of {row} in a row to {ABOUT[report.about]}", "the probe’s"
        )


def moment(report: DrillReport, name: str) -> float | None:
    """When an event was first noted, on the report's clock."""
    return next((e.at for e in report.events if e.name == name), None)


def last(report: DrillReport, name: str) -> Event | None:
    """The last event of a name."""
    return next((e for e in reversed(report.events) if e.name == name), None)
