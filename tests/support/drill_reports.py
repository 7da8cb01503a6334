"""Reports of drills that nobody ran: figures to compute with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from archlab.spec.drill import Attempt, DrillReport, Event, Kind, Measured, Objectives, Posture, Verdict

BEGAN = datetime(2026, 11, 26, 12, tzinfo=UTC)
FAULT = 105.0


def measured(**changes: Any) -> Measured:
    """An outage of a second, of which detection took most."""
    usual: dict[str, Any] = {
        **{"acknowledged": 500, "fault": "east is killed", "detection_s": 0.6, "decision_s": 0.0, "rto_s": 1.0},
        **{"rto_from_decision_s": 0.4, "read_rto_s": 1.1, "rpo_s": 0.0, "lost": (), "longest_gap_s": 1.0},
        **{"errors": {"http-503": 90, "timeout": 2}, "worst_latency_ms": 40.0},
    }
    return Measured(**{**usual, **changes})


def report(seen: Measured | None, *, moments: Mapping[str, float] | None = None, **changes: Any) -> DrillReport:
    """A drill whose zero is 100 s on the monotonic clock, and its fault five seconds later.

    Args:
        seen: what was measured.
        moments: further events, and when they were.
        changes: other fields.
    """
    fault = Event(name="east is killed", at=FAULT, detail="SIGKILL for all its processes")
    usual: dict[str, float] = {"detected": FAULT + 0.6, "decided": FAULT + 0.6, "promote": FAULT + 0.9}
    noted = {**usual, "rollbacks begin": FAULT + 3, "rejoin": FAULT + 4, "pair": FAULT + 4.5, **(moments or {})}
    events = (fault, *(Event(name=name, at=at, detail=f"detail of {name}") for name, at in noted.items()))
    whole: dict[str, Any] = {
        **{"drill": "kill-region", "title": "A region is lost", "began": BEGAN, "posture": Posture()},
        **{"objectives": Objectives(rto_s=5, rpo_s=0, lost_writes=0), "verdict": Verdict.GREEN, "reasons": ()},
        **{"measured": seen, "events": tuple(sorted(events, key=lambda e: e.at)), "faults": (fault,)},
        **{"failback_s": 1.5, "clock_zero": 100.0},
    }
    return DrillReport(**{**whole, **changes})


def attempts() -> tuple[Attempt, ...]:
    """Ten writes a second from 101 to 110 s, of which those within a second after the fault fail."""
    found = []
    for number in range(90):
        done = 101 + number / 10
        outcome = "http-503" if FAULT <= done < FAULT + 1 else "ok"
        found.append(Attempt(kind=Kind.WRITE, number=number, sent=done - 0.01, done=done, outcome=outcome))
    return tuple(found)
