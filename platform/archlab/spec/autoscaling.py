"""Replicas by load instead of a fixed number: what a learner asks for, and what a scaler did."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from .base import Slug, Spec, UtcTime

MAX_REPLICAS = 8


class Signal(StrEnum):
    """What a pool is scaled on; always the mean over its pods."""

    CPU = "cpu"
    """Processor time of the server's container, as metrics-server measures it."""
    CONCURRENCY = "concurrency"
    """Requests under way: the growth of `archlab_inference_seconds_sum` per second (Little's law)."""


class Autoscaling(Spec):
    """Bounds and target of one pool. At least as many pods stay as its models ask for as `replicas`."""

    signal: Signal
    target_milli: int = Field(gt=0)
    """Per pod, in thousandths: of a core (`cpu`), of a request under way (`concurrency`)."""
    max_replicas: int = Field(ge=2, le=MAX_REPLICAS)
    stabilization_s: int = Field(default=60, ge=0, le=3600)
    """Pods are taken away when fewer would have been enough for this long."""


class ScalingEvent(Spec):
    """One change of a pool's replicas."""

    at: UtcTime
    """Wall time."""
    unit: Slug
    replicas: int
    """From then on."""
    why: str


class Scaling(Spec):
    """An autoscaled pool as it is."""

    unit: Slug
    by: str
    """Who scales it: a HorizontalPodAutoscaler, or archlab's control."""
    signal: Signal
    target_milli: int
    value_milli: int | None
    """Measured last; None while nothing is."""
    replicas: int
    min_replicas: int
    max_replicas: int
    said: str = ""
    """The scaler's own word on why it can't, or what it is limited by."""
    events: tuple[ScalingEvent, ...] = ()
    """Newest last."""
