"""What replay hands to control for one tick of the business clock, and the scoreboard that comes out."""

from __future__ import annotations

from enum import StrEnum

from .base import NanoUsd, Sha256, Spec, UtcTime
from .money import Usage


class Timeliness(StrEnum):
    """Whether an answer could still be used."""

    ON_TIME = "on_time"
    LATE = "late"
    """Took longer than the caller's deadline."""
    STALE = "stale"
    """Its features or its batch run were older than the caller accepts."""
    MISSING = "missing"
    """No answer came: an error, or no precomputed row."""


class Answer(Spec):
    """What a caller got for one replayed request."""

    request_id: str
    """Deterministic: `MODEL/SUBJECT/ASKED`."""
    model: str
    version: str
    subject: str
    """Flight id, origin@time, tail or route: what labels are joined on."""
    asked: UtcTime
    prediction: float | None
    features_as_of: UtcTime | None
    latency_ms: float
    timeliness: Timeliness
    status: int
    """HTTP status; 0 when the connection failed."""


class Label(Spec):
    """What really happened, known at `known`."""

    model: str
    subject: str
    asked: UtcTime
    known: UtcTime
    actual: float
    baseline: float | None
    """What the simple rule of the model's card would have said."""


class Tick(Spec):
    """One step of the business clock; recorded in one transaction, harmless to record twice."""

    start: UtcTime
    end: UtcTime
    answers: tuple[Answer, ...]
    labels: tuple[Label, ...]
    usage: tuple[Usage, ...]
    digest: Sha256
    """Over answers without latency, and labels: equal for equal seeds and designs."""


class ModelScore(Spec):
    """One row of the scoreboard. Money counts real requests (replayed × represents)."""

    model: str
    mode: str
    requests: int
    on_time: int
    late: int
    stale: int
    missing: int
    limited: int | None = None
    """Of the missing ones, those that a quota or a limit refused (429); None where that was not counted yet."""
    labelled: int
    metric: str
    """Name of the quality measure (auc, mae, pinball, ...)."""
    quality: float | None
    baseline: float | None
    higher_is_better: bool
    p99_ms: float | None
    value_nanousd: NanoUsd
    used_nanousd: NanoUsd
    idle_nanousd: NanoUsd
    net_nanousd: NanoUsd


class Scoreboard(Spec):
    """Value earned, deadlines met, money spent, from the clock's start to now."""

    since: UtcTime
    until: UtcTime
    models: tuple[ModelScore, ...]
    shared_nanousd: NanoUsd
    value_nanousd: NanoUsd
    cost_nanousd: NanoUsd
    net_nanousd: NanoUsd
