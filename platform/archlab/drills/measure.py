"""From the probe's attempts to RTO, RPO and errors: pure arithmetic, with nothing of the platform's internals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise

from archlab.spec.drill import Attempt, Event, Kind, Measured, Objectives

IN_A_ROW, FEW_IN_A_ROW = 10, 3
"""Good answers in a row after which a service counts as recovered; of promotions, which take long, a few."""
DETECTED, DECIDED = "detected", "decided"
DECLARED, ORDERED = "declared", "ordered"
"""The same by whoever is at the drill."""


def before(attempts: Sequence[Attempt], moment: float) -> list[Attempt]:
    """What was answered well by a moment, or was sent by then and failed.

    A good answer that came later may be to a write that nobody could read back at that moment: it is no loss.

    Args:
        attempts: the probe's.
        moment: when writes began to be read back, on the probe's clock.
    """
    return [a for a in attempts if (a.done if a.ok else a.sent) <= moment]


def measure(
    attempts: Sequence[Attempt],
    faults: Sequence[Event],
    events: Sequence[Event],
    present: Collection[int] | None,
    in_a_row: int | None = None,
    about: Kind = Kind.WRITE,
) -> Measured:
    """What callers saw of a fault.

    Args:
        attempts: the probe's, in any order.
        faults: what was injected, in the order of time; at least one.
        events: what else happened; `detected` and `decided` are looked for, and `declared` and `ordered`.
        present: writes that can be read afterwards; None when nobody could be asked.
        in_a_row: good answers in a row that count as recovery; None: as many as it is usual for what was hurt.
        about: which requests were hurt.
    """
    in_a_row = in_a_row or usual_in_a_row(about)
    # answers of the same moment: in an order of their own, so that the ledger's does not matter
    known = sorted(attempts, key=lambda a: (a.done, a.ok, a.number, a.sent, a.outcome))
    writes, hurt = ([a for a in known if a.kind is kind] for kind in (Kind.WRITE, about))
    fault = disturbing(hurt, faults)
    acknowledged = acknowledgements(writes)
    lost = None if present is None else tuple(sorted(acknowledged.keys() - set(present)))
    detected, decided = _first(events, DETECTED, fault.at), _first(events, DECIDED, fault.at)
    # whoever notices a fault before callers feel it is early, and raises no false alarm
    declared, ordered = _first(events, DECLARED, faults[0].at), _first(events, ORDERED, faults[0].at)
    noticed = min((at for at in (detected, declared) if at is not None), default=None)
    recovered = recovery(hurt, fault.at, in_a_row)
    after = [a for a in known if a.done >= fault.at]
    return Measured(
        acknowledged=len(acknowledged),
        fault=fault.name,
        detection_s=_between(fault.at, detected),
        decision_s=_between(noticed, decided),
        learner_detection_s=None if declared is None else max(0.0, declared - fault.at),
        learner_decision_s=_between(declared, ordered),
        rto_s=_between(fault.at, recovered),
        rto_from_decision_s=_between(decided, recovered) if recovered and decided and recovered >= decided else None,
        read_rto_s=_between(fault.at, recovery([a for a in known if a.kind is Kind.READ], fault.at, in_a_row)),
        rpo_s=None if lost is None else rpo(acknowledged, lost, fault.at),
        lost=lost,
        longest_gap_s=longest_gap(hurt),
        errors=dict(sorted(Counter(a.outcome for a in after if not a.ok).items())),
        worst_latency_ms=1000 * max((a.done - a.sent for a in after if a.ok), default=0.0),
    )


def usual_in_a_row(about: Kind) -> int:
    """Good answers in a row that count as recovery."""
    return FEW_IN_A_ROW if about is Kind.PROMOTE else IN_A_ROW


def acknowledgements(writes: Sequence[Attempt]) -> dict[int, float]:
    """When each write was first acknowledged, by its number."""
    found: dict[int, float] = {}
    for write in writes:
        if write.ok:
            found[write.number] = min(write.done, found.get(write.number, write.done))
    return found


def disturbing(writes: Sequence[Attempt], faults: Sequence[Event]) -> Event:
    """The injected fault that callers felt: the last one before the first write that failed.

    A partition may pass unnoticed, and the kill after it not: then clocks start at the kill. When nothing failed, it is
    the last one.
    """
    hurt = min((w.done for w in writes if not w.ok and w.done >= faults[0].at), default=None)
    before = [f for f in faults if hurt is None or f.at <= hurt]
    return before[-1]


def recovery(attempts: Sequence[Attempt], since: float, in_a_row: int) -> float | None:
    """When the first of so many good answers in a row came, after the first failure; `since` when nothing failed.

    Args:
        attempts: in the order of their answers.
        since: the fault. What was sent before and failed after it counts as a failure, what succeeded as nothing.
        in_a_row: how many.
    """
    after = [a for a in attempts if a.done >= since]
    first = next((index for index, a in enumerate(after) if not a.ok), None)
    if first is None:
        return since
    run: list[Attempt] = []
    for attempt in after[first:]:
        run = [*run, attempt] if attempt.ok else []
        if len(run) == in_a_row:
            return run[0].done
    return None


def rpo(acknowledged: dict[int, float], lost: Collection[int], fault: float) -> float:
    """How long before the fault the oldest lost write was acknowledged, in seconds; 0 when none is lost.

    Writes that were acknowledged after the fault and are lost (a second primary took them) count as lost, not here.
    """
    return max(0.0, fault - min((acknowledged[number] for number in lost), default=fault))


def longest_gap(writes: Sequence[Attempt]) -> float:
    """Longest time between two good answers that follow each other; from the first attempt to the last answer."""
    if not writes:
        return 0.0
    marks = [min(w.sent for w in writes), *sorted(w.done for w in writes if w.ok), max(w.done for w in writes)]
    return max(later - earlier for earlier, later in pairwise(marks))


def missed(measured: Measured, wanted: Objectives) -> tuple[str, ...]:
    """One sentence per objective that was not reached; what is not known is not reached."""
    found = []
    if wanted.rto_s is not None and (measured.rto_s is None or measured.rto_s > wanted.rto_s):
        found.append(f"RTO {_seconds(measured.rto_s, 'never')}, {wanted.rto_s:g} s at most")
    if wanted.rpo_s is not None and (measured.rpo_s is None or measured.rpo_s > wanted.rpo_s):
        found.append(f"RPO {_seconds(measured.rpo_s, 'unknown')}, {wanted.rpo_s:g} s at most")
    if wanted.lost_writes is not None and (measured.lost is None or len(measured.lost) > wanted.lost_writes):
        count = "an unknown number of" if measured.lost is None else f"{len(measured.lost):,}"
        found.append(f"{count} acknowledged writes lost, {wanted.lost_writes:,} at most")
    return tuple(found)


def _first(events: Sequence[Event], name: str, since: float) -> float | None:
    return min((e.at for e in events if e.name == name and e.at >= since), default=None)


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


def _seconds(value: float | None, without: str) -> str:
    return without if value is None else f"{value:.2f} s"
