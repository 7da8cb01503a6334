"""A report's figures in words: what was measured, what was asked for, and which clock says so. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from archlab.drills.milestones import ABOUT
from archlab.spec.drill import DrillReport, Measured, Recovery

PROBE, PLATFORM, RUNNER, YOURS = "the probe’s", "the platform’s", "the runbook’s", "yours"


class Figure(NamedTuple):
    """One of them."""

    name: str
    value: str
    objective: str
    """Empty: nothing was asked for."""
    missed: bool
    clock: str
    """Whose, and where it starts; empty for what needs none."""


def figures(report: DrillReport) -> tuple[Figure, ...]:
    """All of them, in the order in which they are told; none for a drill that is void before its fault."""
    return tuple(_figures(report, report.measured)) if report.measured else ()


def _figures(report: DrillReport, seen: Measured) -> Iterator[Figure]:
    wanted, about = report.objectives, ABOUT[report.about]
    late = wanted.rto_s is not None and (seen.rto_s is None or seen.rto_s > wanted.rto_s)
    behind = wanted.rpo_s is not None and (seen.rpo_s is None or seen.rpo_s > wanted.rpo_s)
    gone = wanted.lost_writes is not None and (seen.lost is None or len(seen.lost) > wanted.lost_writes)
    lost = "unknown" if seen.lost is None else f"{len(seen.lost):,} of {seen.acknowledged:,} acknowledged"
    most = "" if wanted.lost_writes is None else f"{wanted.lost_writes:,}"
    errors = ", ".join(f"{count:,} × {kind}" for kind, count in seen.errors.items()) or "none"
    from_decision = "from your decision" if report.by_hand else "from the decision"
    yield Figure("clocks start at", seen.fault, "", False, "")
    yield Figure("detection", seconds(seen.detection_s), "", False, f"{PLATFORM}, from the fault")
    yield Figure("decision", seconds(seen.decision_s), "", False, _deciders_clock(report, seen))
    if seen.learner_detection_s is not None or report.posture.recovery is Recovery.MANUAL:
        yield Figure("your detection", seconds(seen.learner_detection_s), "", False, f"{YOURS}, from the fault")
        yield Figure("your decision", seconds(seen.learner_decision_s), "", False, f"{YOURS}, from your detection")
    yield Figure(
        f"RTO, {about}", seconds(seen.rto_s, "never"), seconds(wanted.rto_s, ""), late, f"{PROBE}, from the fault"
    )
    yield Figure("RTO from the decision", seconds(seen.rto_from_decision_s), "", False, f"{PROBE}, {from_decision}")
    yield Figure("RTO, reads", seconds(seen.read_rto_s, "never"), "", False, f"{PROBE}, from the fault")
    yield Figure(
        "RPO", seconds(seen.rpo_s, "unknown"), seconds(wanted.rpo_s, ""), behind, f"{PROBE}, back from the fault"
    )
    yield Figure("writes lost", lost, most, gone, "")
    yield Figure(f"longest time without {about}", seconds(seen.longest_gap_s), "", False, f"{PROBE}, whole drill")
    yield Figure("failed requests", errors, "", False, "")
    yield Figure("slowest good answer", f"{seen.worst_latency_ms:,.0f} ms", "", False, f"{PROBE}, after the fault")
    yield Figure("failback", seconds(report.failback_s), "", False, f"{RUNNER}, from its first step")


def _deciders_clock(report: DrillReport, seen: Measured) -> str:
    """Who decided, and whose detection that is counted from: whoever noticed first."""
    platform, yours = seen.detection_s, seen.learner_detection_s
    you_first = yours is not None and (platform is None or yours < platform)
    return f"{YOURS if report.by_hand else PLATFORM}, from {'your' if you_first else 'the platform’s'} detection"


def seconds(value: float | None, without: str = "–") -> str:
    """Two digits, or what stands for nothing."""
    return without if value is None else f"{value:.2f} s"
