"""What a lab in two regions shows of itself, for grading: where the pair stands, what befell it, what was done."""

from __future__ import annotations

from typing import Literal

from .base import Slug, Spec, UtcTime
from .drill import DrillReport, Event, Measured, Posture
from .drill_kinds import Verdict
from .outages import Probe
from .regions import Regions, RegionState, Takeover


class RegionSeen(Spec):
    """One region as it was when the picture was taken."""

    region: Slug
    database: Literal["primary", "standby", "down", "none"]
    """`none`: the posture keeps none there."""
    synchronous: bool = False
    """Whether no write counts before it is there."""
    line: Literal["up", "cut", "down"]
    fenced: str = ""
    """Why nothing starts there; empty when there is no fence."""


class RegionFault(Spec):
    """Something that was broken on purpose: `archlab dr kill`, `archlab dr cut`."""

    format: Literal["archlab/region-fault/v1"] = "archlab/region-fault/v1"
    what: Literal["kill", "cut"]
    region: Slug | None = None
    """Of a kill."""
    at: UtcTime
    posture: Regions
    """How the pair was prepared."""
    primary: Slug
    """The region that took writes then."""


class RegionProbe(Spec):
    """Everything that callers want of a lab, tried: `archlab dr probe`."""

    format: Literal["archlab/region-probe/v1"] = "archlab/region-probe/v1"
    at: UtcTime
    down: tuple[Slug, ...]
    """Regions in which nothing could start."""
    state: RegionState
    posture: Regions
    probes: tuple[Probe, ...]


class DrillSeen(Spec):
    """A drill that was run here, on a testbed of its own, as far as questions read its report."""

    drill: Slug
    began: UtcTime
    posture: Posture
    verdict: Verdict
    reasons: tuple[str, ...]
    measured: Measured | None
    failback_s: float | None = None
    events: tuple[Event, ...] = ()

    @classmethod
    def of(cls, report: DrillReport) -> DrillSeen:
        """What evidence keeps of a report."""
        return cls.model_validate(report.model_dump(include=set(cls.model_fields)))


class RegionFacts(Spec):
    """All of it, oldest first."""

    state: RegionState
    regions: tuple[RegionSeen, ...]
    faults: tuple[RegionFault, ...] = ()
    runbooks: tuple[Takeover, ...] = ()
    probes: tuple[RegionProbe, ...] = ()
    drills: tuple[DrillSeen, ...] = ()
    """Since the lab was made."""
