"""What a posture lets expect when a region is lost: pure arithmetic, so modelled, on figures of mechanics.

Mechanics are what this lab's own failovers took, once there are some; until then round figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from archlab.spec.drill_kinds import Replication
from archlab.spec.regions import Part, Promotion, Regions, Standby, Takeover, Tier, TierPosture

PROMOTE_S, START_S, RESTORE_S = 0.5, 8.0, 2.0
"""Round figures, for a lab that has not failed over yet."""


@dataclass(frozen=True, slots=True)
class Mechanic:
    """How long one thing takes, and how that is known."""

    seconds: float
    runs: int = 0
    """Failovers of this lab whose median it is; 0: a round figure."""

    @property
    def source(self) -> str:
        """In words."""
        return f"median of {self.runs} of this lab's failovers" if self.runs else "a round figure"


@dataclass(frozen=True, slots=True)
class Mechanics:
    """What expectations are computed from, beside what the scenario and the learner declare."""

    promote: Mechanic = Mechanic(PROMOTE_S)
    """The lost region is fenced, a standby database becomes primary, and the gateway has noticed."""
    start: Mechanic = Mechanic(START_S)
    """Registry and servers start."""
    restore: Mechanic = Mechanic(RESTORE_S)
    """A small database comes back from a backup and the archive of its log."""


ROUND = Mechanics()


def mechanics(done: Iterable[Takeover]) -> Mechanics:
    """What a lab's own failovers took; what none of them did stays a round figure."""
    promoted, started, restored = list[float](), list[float](), list[float]()
    for one in done:
        if one.runbook != "failover to" or one.posture is None:
            continue
        posture, took = one.posture.of(Part.REGISTRY).posture, one.seconds
        if posture is Standby.BACKUP_ONLY:
            restored.append(took["promote"])
        else:
            promoted.append(took["fence"] + took["promote"] + took["verify"])
        if not posture.runs:
            started.append(took["scale up"])
    return Mechanics(_median(promoted, PROMOTE_S), _median(started, START_S), _median(restored, RESTORE_S))


def _median(found: list[float], without: float) -> Mechanic:
    return Mechanic(median(found), len(found)) if found else Mechanic(without)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of one tier in one posture; seconds. None: the tier has nothing of that kind."""

    answers_rto_s: float | None
    """Until models answer again."""
    writes_rto_s: float | None
    """Until what is written can be written again."""
    rpo_s: float | None
    """How much of what was acknowledged may be missing."""
    why: str


def expected(
    regions: Regions, tier: Tier, tier_posture: TierPosture, models: int, known: Mechanics = ROUND
) -> Expectation:
    """What a tier may expect.

    Args:
        regions: the pair.
        tier: which.
        tier_posture: how it would be prepared.
        models: how many models are in it.
        known: what mechanics take.
    """
    parts = [part for part, given in regions.parts.items() if given is tier]
    posture = tier_posture.posture
    noticed, decided = tier_posture.detection_ms / 1000, _decision_s(regions, tier_posture)
    to_act, start_s, promote_s = noticed + decided, known.start.seconds, known.promote.seconds
    answers = {
        Standby.ACTIVE_ACTIVE: 0.0,
        Standby.WARM_STANDBY: noticed,
        Standby.PILOT_LIGHT: to_act + start_s,
        Standby.BACKUP_ONLY: to_act + start_s,
    }[posture]
    writes = {
        Standby.ACTIVE_ACTIVE: to_act + promote_s,
        Standby.WARM_STANDBY: to_act + promote_s,
        Standby.PILOT_LIGHT: to_act + promote_s + start_s,
        Standby.BACKUP_ONLY: to_act + known.restore.seconds + start_s,
    }[posture]
    return Expectation(
        answers_rto_s=answers if models else None,
        writes_rto_s=writes if parts else None,
        rpo_s=_rpo_s(regions, tier_posture) if parts else None,
        why=_why(tier_posture, noticed, decided),
    )


def _decision_s(regions: Regions, tier_posture: TierPosture) -> float:
    return 0.0 if tier_posture.promotion is Promotion.AUTOMATIC else float(regions.decision_s)


def _rpo_s(regions: Regions, tier_posture: TierPosture) -> float:
    if tier_posture.posture is Standby.BACKUP_ONLY:
        return float(tier_posture.backup_every_s)
    return 0.0 if tier_posture.replication is Replication.SYNCHRONOUS else regions.latency_ms / 1000


def _why(tier_posture: TierPosture, noticed: float, decided: float) -> str:
    decision = f"{decided:g} s to decide" if decided else "nobody has to decide"
    if tier_posture.posture is Standby.BACKUP_ONLY:
        copy = f"a copy every {tier_posture.backup_every_s} s"
    elif tier_posture.replication is Replication.SYNCHRONOUS:
        copy = "every write waits for both regions"
    else:
        copy = "the lag of the line, or as long as it was cut"
    return f"{noticed:g} s to notice, {decision}; {copy}"
