"""Drills: what an outside probe saw, when what happened, and what follows from the two."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .base import Slug, Spec, UtcTime
from .drill_kinds import (
    BACKUPS_KEPT,
    CHECK_EVERY_MS,
    FAILURES_TO_DETECT,
    LATENCY_MS,
    PATIENCE_S,
    Kind,
    Recovery,
    Replication,
    Verdict,
    Where,
)

__all__ = [
    "Asked",
    "Attempt",
    "Change",
    "DrillReport",
    "Event",
    "Kind",
    "Measured",
    "Objectives",
    "Posture",
    "Question",
    "Recovery",
    "Replication",
    "Surprise",
    "TierObjectives",
    "Verdict",
    "Where",
]


class Posture(Spec):
    """How a pair of regions is prepared."""

    replication: Replication = Replication.SYNCHRONOUS
    recovery: Recovery = Recovery.AUTOMATIC
    latency_ms: float = Field(default=LATENCY_MS, ge=0, le=1_000)
    """One way, between the regions."""
    bytes_per_s: int | None = Field(default=None, ge=1_000)
    """Of the line between the regions, each way; None: as fast as the machine."""
    check_every_ms: int = Field(default=CHECK_EVERY_MS, ge=20, le=60_000)
    failures_to_detect: int = Field(default=FAILURES_TO_DETECT, ge=1, le=100)
    """Consecutive failed checks until an outage counts as detected."""
    accept_data_loss: bool = False
    """Whether a promotion may go on that can't be shown to lose nothing."""
    check_content: bool = False
    """Whether the platform's own check compares what a model answers; else it looks only whether it does."""
    verify_backups: bool = False
    """Whether backups are restored and compared before they are needed."""
    backups_kept: int = Field(default=BACKUPS_KEPT, ge=1, le=365)
    """How many backups stay; the newest that is known to restore always does."""
    patience_s: float = Field(default=PATIENCE_S, gt=0, le=7_200)
    """How long people have, with manual recovery; where nobody recovers, the drill waits no longer than that either."""


class Attempt(Spec):
    """One request of the probe. Times are seconds of the system's monotonic clock."""

    kind: Kind
    number: int
    """The write's number; a read asks for one that was acknowledged."""
    sent: float
    done: float
    outcome: str
    """`ok`, or the class of error: `http-503`, `timeout`, `refused`, `reset`; `missing`: a read of what was written;
    `wrong`: a model's answer in time, and not the right one; `denied`: the gate refused a change."""

    @property
    def ok(self) -> bool:
        """Whether it was answered as it should be."""
        return self.outcome == "ok"


class Question(Spec):
    """What a caller asks of a model, and the answer that it knows beforehand."""

    path: str
    """At the gateway."""
    body: dict[str, Any]
    answer: float


class Change(Spec):
    """A change that a caller asks of the registry again and again, and that has to be decided each time."""

    path: str
    """At the gateway."""
    body: dict[str, str]
    token: str


class Asked(Spec):
    """What a probe asks beside writes and reads."""

    questions: tuple[Question, ...] = ()
    """Of a model."""
    change: Change | None = None


class Event(Spec):
    """Something that happened in a drill, on the probe's clock."""

    name: str
    at: float
    detail: str = ""


class Objectives(Spec):
    """What recovery has to reach, in seconds of this machine; None: not asked for."""

    rto_s: float | None = Field(default=None, gt=0)
    rpo_s: float | None = Field(default=None, ge=0)
    lost_writes: int | None = Field(default=None, ge=0)


class TierObjectives(Spec):
    """What a tier asks of a recovery, in lab seconds."""

    answers_rto_s: float = Field(gt=0)
    writes_rto_s: float = Field(gt=0)
    rpo_s: float = Field(ge=0)


class Measured(Spec):
    """What the probe's attempts say about a fault. None where it never came to it."""

    acknowledged: int
    """Writes that the probe was told are safe."""
    fault: str
    """The event that the clocks start from."""
    detection_s: float | None
    """From the fault until somebody noticed."""
    decision_s: float | None
    """From detection, by whoever was first, until it was decided what to do."""
    learner_detection_s: float | None = None
    """From the fault until somebody at the drill declared an outage; 0 when they did before callers felt it."""
    learner_decision_s: float | None = None
    """From there until they ordered something."""
    rto_s: float | None
    """From the fault to the first of several good answers in a row, to what the drill is about; 0 when none failed."""
    rto_from_decision_s: float | None
    read_rto_s: float | None
    """The same for reads."""
    rpo_s: float | None
    """How long before the fault the oldest lost write was acknowledged; 0 when none is lost. None: not known."""
    lost: tuple[int, ...] | None
    """Acknowledged writes that are missing afterwards. None: nobody could be asked."""
    longest_gap_s: float
    """Longest time without a good answer to what the drill is about, whatever was injected."""
    errors: dict[str, int]
    """Failed attempts from the fault on, by class."""
    worst_latency_ms: float
    """Slowest good answer from the fault on."""


class Surprise(Spec):
    """What a code stands for."""

    code: str
    drill: Slug
    delay_s: float
    """From the end of the control run to the fault, or to the first of the drill's steps that lead to it."""
    pause_s: float
    """How long the drill pauses where it does."""


class DrillReport(Spec):
    """Everything that is kept of a drill."""

    format: Literal["archlab/drill-report/v1"] = "archlab/drill-report/v1"
    drill: Slug
    title: str
    about: Kind = Kind.WRITE
    """Which requests the drill is about: RTO and the longest gap are theirs."""
    began: UtcTime
    surprise: Surprise | None = None
    """None for a drill that was announced."""
    target: Where = Where.LOCAL
    """Where the regions were."""
    posture: Posture
    objectives: Objectives
    verdict: Verdict
    reasons: tuple[str, ...]
    """Why it is not green."""
    measured: Measured | None
    """None for a drill that is void before its fault."""
    events: tuple[Event, ...]
    faults: tuple[Event, ...] = ()
    """Those of the events that were injected."""
    failback_s: float | None = None
    """How long it took until the first region was primary again, with the other as its standby."""
    clock_zero: float
    """The monotonic clock at `began`."""
    journal: dict[str, Any] = {}
    """Chaos Toolkit's."""

    @property
    def by_hand(self) -> bool:
        """Whether people decided, whatever the platform's check saw."""
        return self.posture.recovery is Recovery.MANUAL
