"""What a posture lets expect of parts that are files: how old a copy is at most, how long until it can be used.

Pure and modelled; a lab's stores say beside it what they measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from archlab.spec.regions import FILES, Part, Regions, Standby, Takeover

LOOK_S, WAYS = 0.2, 6
"""How often a store looks for what is new; how often a line is crossed until a file is there: news, list and content,
each asked for and answered."""
RESTORE_S = 0.5
"""Until an archive is opened and compared: a round figure, for a lab that has not done it yet."""
TAKE_FILES = "take files"
"""The failover's step."""


@dataclass(frozen=True, slots=True)
class CopyExpectation:
    """Of one part in one posture."""

    part: Part
    posture: Standby
    chosen: bool
    """Whether it is prepared so now."""
    rpo_s: float
    """How old what takes over is at most, on a line that is whole and not full."""
    rto_s: float
    """From the decision until it can be used, beside what database and servers need."""
    measured_rto_s: float | None
    """Median of this lab's failovers in that posture; None: there is none."""


def expected_copies(regions: Regions, done: Iterable[Takeover]) -> list[CopyExpectation]:
    """Every part that is files in every posture; the rest of its tier's settings stay as they are."""
    ran = [one for one in done if one.runbook == "failover to" and one.posture and TAKE_FILES in one.seconds]
    found = []
    for part in FILES:
        tier = regions.of(part)
        for posture in Standby:
            took = [o.seconds[TAKE_FILES] for o in ran if o.posture and o.posture.of(part).posture is posture]
            found.append(
                CopyExpectation(
                    part=part,
                    posture=posture,
                    chosen=tier.posture is posture,
                    rpo_s=_rpo_s(regions, posture, tier.backup_every_s),
                    rto_s=RESTORE_S if posture is Standby.BACKUP_ONLY else 0.0,
                    measured_rto_s=median(took) if took else None,
                )
            )
    return found


def _rpo_s(regions: Regions, posture: Standby, every_s: int) -> float:
    way = LOOK_S + WAYS * regions.latency_ms / 1000
    return {
        Standby.BACKUP_ONLY: float(every_s),
        Standby.PILOT_LIGHT: every_s + way,
    }.get(posture, way)
