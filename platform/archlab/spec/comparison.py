"""Two versions of a model set against each other: what `archlab compare` shows."""

from __future__ import annotations

from typing import Literal

from .base import Spec, UtcTime

METRIC_NAMES = {"auc": "AUC", "mae": "MAE", "pinball": "pinball loss", "explained_variance": "explained variance"}


class Interval(Spec):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class VersionTraffic(Spec):
    """What one version answered."""

    version: str
    role: Literal["champion", "challenger", ""]
    """Empty for one that has left the release feed."""
    traffic: Literal["live", "shadow"]
    requests: int
    errors: int
    """Of the requests, those that the model could not answer."""
    subjects: int
    """Distinct flights (or what else the model is asked about)."""
    labelled_subjects: int
    """Of them, those whose outcome is known by the business clock."""
    p50_ms: float | None
    """In the server, as p99."""
    p99_ms: float | None
    quality: Interval | None
    """Of the last answer to each labelled question."""


class Judgement(Spec):
    """Challenger less champion."""

    labelled_subjects: int
    """Of the side that has fewer; for a shadow, those that both answered about."""
    difference: Interval | None
    """None while there is too little to say."""
    verdict: Literal["better", "worse", "not told apart", "too few labels"]
    """Of the challenger."""


class Mirrored(Spec):
    """Copies joined with their originals."""

    pairs: int
    subjects: int
    abs_difference_mean: float | None
    """Between the two predictions; None for clusters, whose numbers have no order."""
    abs_difference_max: float | None
    correlation: float | None
    differing: float | None
    """Share of pairs that the caller would treat differently."""
    differing_rule: str
    latency_difference_ms: float | None
    """Median, copy less original, in the servers."""


class Comparison(Spec):
    """Champion and challenger of a model."""

    format: Literal["archlab/comparison/v1"] = "archlab/comparison/v1"
    model: str
    asked_about: str
    """What its subjects are: flights, half hours, aircraft, routes."""
    metric: str
    higher_is_better: bool
    champion: str
    challenger: str
    """Empty when no other version has answered yet and none is named."""
    now: UtcTime
    """The business clock."""
    since: UtcTime | None
    """Wall time from which requests count; None when there are none."""
    versions: tuple[VersionTraffic, ...]
    canary: Judgement | None
    shadow: Judgement | None
    mirrored: Mirrored | None
    conclusions: tuple[str, ...]
    """In words: what can and what can't be said."""
    method: str
