"""What experiments measured: sweeps over a range, submitted designs on hidden days, how fast this machine is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .airline import Scoreboard
from .base import Sha256, Slug, Spec, UtcTime
from .region_facts import DrillSeen
from .regions import Regions
from .scenario import Overrides
from .tenancy import Isolation


class Estimate(Spec):
    """A measured figure with its 95 % interval."""

    value: float
    low: float
    high: float


class Calibration(Spec):
    """How fast this machine answers; loads of sweeps and design trials scale with `requests_per_s`."""

    format: Literal["archlab/calibration/v1"] = "archlab/calibration/v1"
    taken: UtcTime
    cores: int = Field(ge=1)
    onnx_calls_per_s: float = Field(gt=0)
    """Single-row calls of ONNX Runtime on one thread."""
    relative_speed: float = Field(gt=0)
    """The former, as a share of the machine that thresholds were set on."""
    requests_per_s: Estimate | None = None
    """Single-row requests through a lab's gateway, one after another; None when no lab was up."""
    p99_ms: Estimate | None = None
    """Of the same requests."""

    @property
    def noise(self) -> float | None:
        """Half the interval of `requests_per_s` as a share of it."""
        rate = self.requests_per_s
        return None if rate is None else (rate.high - rate.low) / 2 / rate.value


class SweepPoint(Spec):
    """One setting and what was measured there."""

    settings: dict[str, float]
    measures: dict[str, Estimate]
    repeats: int = Field(ge=1)
    """Runs, or resamples' subjects, behind the intervals."""


class Sweep(Spec):
    """Something measured over a range. One per name and model is kept, the newest."""

    format: Literal["archlab/sweep/v1"] = "archlab/sweep/v1"
    name: Slug
    """`load` or `materialisation`."""
    model: Slug
    taken: UtcTime
    method: str
    """How the figures came about, one sentence for people."""
    fixed: dict[str, float | str] = {}
    """What was the same at every point."""
    points: tuple[SweepPoint, ...]
    calibration: Calibration | None = None
    seconds: float = 0.0


class LoadFigures(Spec):
    """One model under load."""

    model: Slug
    requests: int = Field(ge=0)
    failures: int = Field(ge=0)
    p50_ms: float
    p95_ms: float
    p99_ms: float


class NoiseFigures(Spec):
    """What became of the noise that one team made."""

    offered_per_s: float
    rows: int = Field(default=0, ge=0)
    """Of each request; 0 in figures from before it was kept."""
    answered_per_s: float
    failures: int
    requests: int
    p50_ms: float
    reason: str = ""
    """Of the failures, the most frequent."""
    limited: int = 0
    """Of the failures, those that a limit or a share refused (429)."""


class Noise(Spec):
    """A noisy neighbour beside a load: who, and what kept it apart."""

    team: Slug
    isolation: Isolation
    figures: NoiseFigures | None = None
    """None when the team has nothing online to be noisy with."""


class Load(Spec):
    """A load that a design was put under."""

    offered_per_s: float
    seconds: float
    lost: str = ""
    """Replica that was taken away before the load began; empty when none was."""
    models: tuple[LoadFigures, ...]
    """Of everybody but the noisy team, where there is one."""
    noise: Noise | None = None


class DesignRun(Spec):
    """One design, measured on the hidden days."""

    name: Slug
    digest: Sha256
    """Over everything that decides what is measured; equal digests need no second run."""
    overrides: Overrides
    days: tuple[Scoreboard, ...]
    """One per hidden business day; none of a design that was drilled."""
    loads: tuple[Load, ...] = ()
    """One, or several where the first left a p99 in doubt."""
    regions: Regions | None = None
    """Of a design that was drilled: the pair as it makes it."""
    drills: tuple[DrillSeen, ...] = ()
    """What the hidden drill measured; none where the second region holds nothing of the registry."""
    taken: UtcTime
    seconds: float


class DesignTrial(Spec):
    """A submitted design beside the reference and the naive ones, all measured on the same hidden days."""

    format: Literal["archlab/design-trial/v1"] = "archlab/design-trial/v1"
    question: Slug
    submitted: DesignRun
    reference: DesignRun
    naive: tuple[DesignRun, ...]
    calibration: Calibration | None = None


class DesignTask(Spec):
    """What a design question measures. Names are functions of the scenario's `designs.py`."""

    reference: str
    naive: tuple[str, ...] = Field(min_length=1)
    days: int = Field(default=1, ge=1, le=3)
    """Hidden business days that are replayed."""
    load_share: Annotated[float, Field(gt=0, le=5)] = 0.25
    """Requests per second offered, as a share of the calibrated `requests_per_s`."""
    load_seconds: int = Field(default=10, ge=5, le=120)
    lose: str = ""
    """Unit whose first replica is taken away before the load; empty for none."""
    noise_rows: int = Field(default=0, ge=0)
    """Rows in each request of a hidden team that asks for far more than its part during the load, at the least: where
    such requests cost a machine too little, there are more. 0 for nobody."""
    drill: bool = False
    """Whether a pair of regions is put through a hidden drill, instead of all that."""
