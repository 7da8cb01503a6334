"""Lines of the gradebook: what was answered, hinted, forecast and sat as an exam. Each is chained and signed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from .base import Sha256, Slug, Spec, UtcTime
from .grading import Verdict
from .scenario import Variant

Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
"""An Ed25519 signature in hexadecimal."""

PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A raw Ed25519 or X25519 public key in hexadecimal."""


class Line(Spec):
    """What every line has. `hash` is over the canonical JSON of all other fields but `signature`, which signs it.

    Time is told twice: `wall_time` can be set by anyone, `uptime_ms` counts within one boot and can't.
    """

    sequence: int
    wall_time: UtcTime
    boot: str
    """Identifies the boot of the machine; empty where the system does not say."""
    uptime_ms: int = Field(ge=0)
    """Since the boot, sleep included."""
    previous: Sha256
    """`hash` of the line before; zeros for the first."""
    key: PublicKey
    """Whose signature this is: the lab's gradebook key, the same on every line."""
    hash: Sha256
    signature: Signature


class Attempt(Line):
    """An answer and its verdict."""

    format: Literal["archlab/attempt/v2"] = "archlab/attempt/v2"
    question: Slug
    answer: Any
    verdict: Verdict
    points: Annotated[float, Field(ge=0)]
    message: str
    evidence: Sha256
    variant: Variant
    grader_version: str


class HintUse(Line):
    """A hint was read, at a price."""

    format: Literal["archlab/hint/v2"] = "archlab/hint/v2"
    question: Slug
    hint: int = Field(ge=1)
    cost_percent: int = Field(ge=0, le=100)


class Forecast(Line):
    """A forecast committed before its experiment, with the evidence of that moment."""

    format: Literal["archlab/forecast/v2"] = "archlab/forecast/v2"
    question: Slug
    answer: Any
    evidence: Sha256


class ExamStarted(Line):
    """The clock of an exam starts with this line."""

    format: Literal["archlab/exam-started/v1"] = "archlab/exam-started/v1"
    exam: Slug
    minutes: int = Field(ge=1, le=24 * 60)
    questions: tuple[Slug, ...]
    selection_seed: int
    """Decided which questions were drawn."""
    variant: Variant
    evidence: Sha256
    """The lab as the exam found it."""
    pack: str = ""
    """Digest of the instructor's pack; empty without one."""
    seat: str = ""


class ExamAnswered(Line):
    """An answer in an exam, with the evidence of that moment; the last one to a question counts."""

    format: Literal["archlab/exam-answer/v1"] = "archlab/exam-answer/v1"
    exam: Slug
    question: Slug
    answer: Any
    """None for a state: the evidence is the answer."""
    evidence: Sha256


class ExamClock(Line):
    """The instructor's code stopped or lengthened the clock, or the learner let it run again."""

    format: Literal["archlab/exam-clock/v1"] = "archlab/exam-clock/v1"
    exam: Slug
    action: Literal["pause", "resume", "extend"]
    minutes: int = Field(ge=0, le=24 * 60)
    """For extend: how much longer. For pause: after how long the clock runs again by itself."""
    code: str = ""
    """What the instructor gave; checked again when the pack is graded."""


class Mark(Spec):
    """What one question of an exam earned."""

    question: Slug
    verdict: Verdict | None
    """None: not answered."""
    points: float
    possible: int
    counts: bool
    """False when the fault is ours or the lab too close to call: then it is left out of the sum."""
    message: str
    evidence: str = ""
    """What it was judged by; empty when there was nothing to judge."""


class ExamFinished(Line):
    """The end of an exam and its result."""

    format: Literal["archlab/exam-finished/v1"] = "archlab/exam-finished/v1"
    exam: Slug
    evidence: str = ""
    """The lab as it stood at the end; empty when time was up before."""
    marks: tuple[Mark, ...]
    grader_version: str


Entry = Attempt | HintUse | Forecast | ExamStarted | ExamAnswered | ExamClock | ExamFinished
GradebookEntry = Annotated[Entry, Field(discriminator="format")]
