"""Callers of a model: when they ask, how soon they need an answer, what it is worth, and what they were promised."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from .base import NanoUsd, Spec


class ClassificationValue(Spec):
    """What an answer to a yes-or-no question is worth per real request. Positive means `prediction >= threshold`."""

    kind: Literal["classification"] = "classification"
    threshold: float
    true_positive: NanoUsd
    false_positive: NanoUsd
    true_negative: NanoUsd = 0
    false_negative: NanoUsd = 0
    late: NanoUsd = 0
    """Worth of an answer that came late, was stale, or never came."""


class EstimateValue(Spec):
    """What an estimate is worth per real request: right when within `tolerance` of what happened."""

    kind: Literal["estimate"] = "estimate"
    tolerance: float
    """In the unit of the label. One-sided (a quantile): right when actual <= prediction <= actual + tolerance."""
    one_sided: bool = False
    right: NanoUsd
    wrong: NanoUsd = 0
    late: NanoUsd = 0


Value = Annotated[ClassificationValue | EstimateValue, Field(discriminator="kind")]


class Caller(Spec):
    """Who asks a model, when, how often, with what deadline, and what the answer is worth."""

    name: str
    asks: Literal["flight-scheduled", "flight-departed", "origin-half-hourly", "tail-daily", "route-daily"]
    """The event that raises a request: a flight's schedule less `lead`, its pushback, a half hour at an airport, ..."""
    lead: timedelta = timedelta(hours=1)
    """For flight-scheduled: how long before scheduled departure."""
    at: timedelta | None = None
    """For daily callers: time of day (UTC) of the requests."""
    deadline_ms: int = Field(gt=0)
    max_age: timedelta
    """Oldest features (the snapshot behind the answer) that still count as fresh; older answers are stale."""
    represents: int = Field(gt=0)
    """How many real requests one replayed request stands for."""
    value: Value


class Slo(Spec):
    """What callers were promised."""

    p99_ms: int = Field(gt=0)
    availability: float = Field(gt=0, le=1)
    max_quality_loss: float | None = Field(default=None, gt=0)
    """How much worse than with the freshest features answers may be, in the card's measure."""
    peak_share: float | None = Field(default=None, gt=0)
    """Peak demand, as a share of this machine's calibrated requests per second."""
