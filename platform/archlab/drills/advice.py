"""What to improve, derived from a drill's own figures: each sentence carries the figure that it follows from. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from archlab.drills.measure import DECIDED, DECLARED
from archlab.drills.milestones import fault_at, last, moment
from archlab.spec.drill import DrillReport, Measured, Recovery, Replication, Verdict

MOST_OF = 0.5
"""From this share of the RTO on, a part of it is worth a sentence."""
ROOM = 0.25
"""An objective of which no more than this was used has room."""
LONG_FAILBACK = 5.0
"""So many times the RTO."""


class Advice(NamedTuple):
    """One thing to improve, or to keep."""

    found: str
    """What the figures say."""
    change: str
    """What would change them, and what that costs."""


def advice(report: DrillReport, lost_after: int | None = None) -> tuple[Advice, ...]:
    """What follows from a report.

    Args:
        report: the drill's.
        lost_after: how many of the lost writes were acknowledged after the fault; None when it is not known.
    """
    seen = report.measured
    if seen is None:
        return (
            Advice(f"The drill is void: {'; '.join(report.reasons)}.", "Run it again, on a machine with less to do."),
        )
    found = (
        *_nobody(report),
        *_people(report, seen),
        *_stretches(report, seen),
        *_lost(report, seen, lost_after),
        *_callers(report, seen),
        *_failback(report, seen),
    )
    return found or tuple(_room(report, seen))


def _nobody(report: DrillReport) -> Iterator[Advice]:
    if refused := last(report, "refused"):
        yield Advice(
            f"Nobody failed over. The runbook refused: {refused.detail}",
            "Decide beforehand: accept what may be lost (--accept-data-loss), or let writes wait for the other region,"
            " so that nothing can be (--replication sync).",
        )
    if report.posture.recovery is Recovery.NONE and report.verdict is Verdict.RED:
        yield Advice(
            "Nobody was to recover anything (--recovery none).",
            "That is what the outage costs without a plan: compare --recovery automatic.",
        )


def _people(report: DrillReport, seen: Measured) -> Iterator[Advice]:
    """What whoever was at the drill did."""
    first = report.faults[0].at if report.faults else None
    early = [e for e in report.events if e.name == DECLARED and first is not None and e.at < first]
    if early:
        yield Advice(
            f"An outage was declared {len(early)} times before there was a fault.",
            "Agree on what has to be seen before anybody declares one.",
        )
    yours, platform = seen.learner_detection_s, seen.detection_s
    if yours is not None and platform is not None and yours > 2 * platform:
        yield Advice(
            f"You declared the outage after {yours:.2f} s; the platform’s own check had failed after {platform:.2f} s.",
            "Let the check call you, and look at what callers see first.",
        )
    if yours is not None and platform is None:
        yield Advice(
            f"You noticed after {yours:.2f} s what the platform’s own check never did.",
            "Add a check of what you looked at: answers have to be right, not only to come.",
        )
    if yours is None and report.posture.recovery is Recovery.MANUAL:
        yield Advice(
            "Nobody declared an outage.", "From a second terminal: archlab drill look, then archlab drill declare"
        )


def _stretches(report: DrillReport, seen: Measured) -> Iterator[Advice]:
    """What most of the time without writes was spent on."""
    if not seen.rto_s:
        return
    if seen.detection_s is not None and seen.detection_s / seen.rto_s >= MOST_OF:
        yield _detection(report, seen.detection_s, seen.rto_s)
    if seen.decision_s is not None and seen.decision_s / seen.rto_s >= MOST_OF:
        yield Advice(
            f"The decision took {_share(seen.decision_s, seen.rto_s)}.",
            "Write down beforehand who may decide on what evidence, or let the platform decide (--recovery automatic).",
        )
    if seen.rto_from_decision_s is not None and seen.rto_from_decision_s / seen.rto_s >= MOST_OF:
        yield _work(report, seen.rto_from_decision_s, seen.rto_s)
    if seen.read_rto_s is None or seen.read_rto_s > 2 * seen.rto_s:
        took = "never came back" if seen.read_rto_s is None else f"came back after {seen.read_rto_s:.2f} s"
        yield Advice(
            f"Reads {took}, writes after {seen.rto_s:.2f} s.",
            "A standby could answer reads while nobody takes writes: a route of their own at the gateway.",
        )


def _detection(report: DrillReport, took: float, rto: float) -> Advice:
    posture = report.posture
    least = posture.failures_to_detect * posture.check_every_ms / 1000
    checks = f"{posture.failures_to_detect} failed checks in a row, one every {posture.check_every_ms} ms"
    how = f"{checks}, need up to {least:.2f} s"
    if took > 2 * least:
        return Advice(
            f"Detection took {_share(took, rto)}. {how}: the rest is checks that wait for an answer.",
            "A check has to give up sooner than a caller does; more checks would not help.",
        )
    every, failures = max(20, posture.check_every_ms // 2), posture.failures_to_detect
    return Advice(
        f"Detection took {_share(took, rto)}. {how}.",
        f"--check-every {every} --failures {failures} halves it; the price is more checks, and more false alarms.",
    )


def _work(report: DrillReport, took: float, rto: float) -> Advice:
    decided, answers = moment(report, DECIDED), (fault_at(report) or 0.0) + rto
    steps = [e for e in report.events if decided is not None and decided <= e.at <= answers]
    longest = max(pairwise(steps), key=lambda pair: pair[1].at - pair[0].at, default=None)
    said = f"Between the decision and good answers lie {_share(took, rto)}."
    waited = answers - max((e.at for e in steps), default=answers)
    if longest is None or waited >= longest[1].at - longest[0].at:
        return Advice(
            f"{said} For {waited:.2f} s of it callers waited after the last step.",
            "The gateway’s health checks find the new primary: shorten their interval.",
        )
    step, length = longest[1], longest[1].at - longest[0].at
    return Advice(
        f"{said} The longest step was “{step.name}”, {length:.2f} s.",
        "Prepare what this step does, or do it beforehand: a warmer standby, a nearer backup.",
    )


def _lost(report: DrillReport, seen: Measured, after: int | None) -> Iterator[Advice]:
    if seen.lost is None:
        yield Advice(
            "Nobody could be asked which writes are left.", "A drill counts what is lost once somebody has recovered."
        )
    if not seen.lost:
        return
    count, before = len(seen.lost), None if after is None else len(seen.lost) - after
    if after and before == 0:
        yield Advice(
            f"All {count:,} lost writes were acknowledged after the fault; nothing of before it is missing.",
            "Only noticing sooner, or a quicker restore, makes them fewer.",
        )
    elif report.posture.replication is Replication.ASYNCHRONOUS:
        yield _asynchronous(report, seen, count)
    else:
        yield Advice(
            f"{count:,} acknowledged writes are lost, though both regions had them; the oldest was"
            f" {seen.rpo_s or 0:.2f} s old.",
            "Replication is no backup: restore from one that was verified (--verify-backups), and keep more than one.",
        )


def _asynchronous(report: DrillReport, seen: Measured, count: int) -> Advice:
    latency = report.posture.latency_ms
    sync = f"--replication sync loses nothing; each write then waits {2 * latency:g} ms or more for the other region"
    rpo = seen.rpo_s or 0.0
    if rpo > 10 * latency / 1000:
        return Advice(
            f"{count:,} acknowledged writes are lost, the oldest {rpo:.2f} s before the fault: far more than"
            f" {latency:g} ms on the line explain. The other region had been behind for that long.",
            f"Watch how far it is behind and alert on it. {sync}, and stops when the link is cut.",
        )
    return Advice(
        f"{count:,} acknowledged writes are lost: they were on their way, {latency:g} ms from the other region.",
        f"{sync}.",
    )


def _callers(report: DrillReport, seen: Measured) -> Iterator[Advice]:
    wrong = seen.errors.get("wrong", 0)
    if wrong and seen.detection_s is None:
        yield Advice(
            f"{wrong:,} answers were wrong and came in time; the platform’s check, which looks at status and latency,"
            " saw nothing.",
            "Ask questions whose answers are known, and compare (--check-content).",
        )
    if denied := seen.errors.get("denied", 0):
        yield Advice(
            f"{denied:,} changes were denied because nobody could decide: the gate failed closed, as it should.",
            "A second policy engine behind the same address, or the embedded one, would have gone on deciding.",
        )
    failed, waited = sum(seen.errors.values()), seen.errors.get("timeout", 0)
    if failed and waited / failed >= MOST_OF:
        yield Advice(
            f"{waited:,} of {failed:,} failed requests ran into the callers’ time-out: they were kept waiting.",
            "A gateway that gives a try up sooner fails them early, and callers can try again.",
        )


def _failback(report: DrillReport, seen: Measured) -> Iterator[Advice]:
    rejoin = last(report, "rejoin")
    if report.failback_s and rejoin and rejoin.detail.endswith("cloned"):
        yield Advice(
            f"On the way back ({report.failback_s:.2f} s) {rejoin.detail.partition(':')[0]} had to be copied anew.",
            "With a large database that takes hours. It could be rewound only to where both regions were the same.",
        )
    elif report.failback_s and seen.rto_s and report.failback_s > LONG_FAILBACK * seen.rto_s:
        yield Advice(
            f"The way back took {report.failback_s:.2f} s, {report.failback_s / seen.rto_s:.0f} times the way there.",
            "Until it is done there is no second region: plan it for a quiet hour, but plan it.",
        )


def _room(report: DrillReport, seen: Measured) -> Iterator[Advice]:
    wanted = report.objectives.rto_s
    if report.verdict is Verdict.GREEN and wanted and seen.rto_s is not None and seen.rto_s <= ROOM * wanted:
        yield Advice(
            f"RTO used {seen.rto_s:.2f} of {wanted:g} s, and nothing else stood out.",
            "Ask for more, or ask whether a cheaper posture would do.",
        )


def _share(part: float, whole: float) -> str:
    return f"{part:.2f} of {whole:.2f} s ({100 * part / whole:.0f} %)"
