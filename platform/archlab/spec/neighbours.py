"""What a noisy neighbour did to the others, design by design."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import NanoUsd, Slug, Spec, UtcTime
from .experiments import Calibration, NoiseFigures

CONTROL = "control"
"""The run without noise: what it shows is the machine's own."""


class TeamFigures(Spec):
    """What one team's callers saw in one phase."""

    requests: int = Field(ge=0)
    failures: int = Field(ge=0)
    per_second: float
    """Answered."""
    p50_ms: float
    p99_ms: float


class NeighbourRun(Spec):
    """One design in one round: the same callers before, during and after the noise."""

    design: Slug
    """An isolation, or `control`."""
    round: int = Field(ge=1)
    before: dict[Slug, TeamFigures]
    during: dict[Slug, TeamFigures]
    after: dict[Slug, TeamFigures]
    noise: NoiseFigures | None = None


class NeighbourReport(Spec):
    """All designs of one measurement."""

    format: Literal["archlab/neighbours/v1"] = "archlab/neighbours/v1"
    lab: Slug
    scenario: Slug
    seed: int
    team: Slug
    """Who was made noisy."""
    rows: int
    """Of each of its requests, as sent."""
    offered_per_s: float
    victims_per_s: float
    """Offered by each of the other teams' callers."""
    seconds: int
    """Of each phase."""
    runs: tuple[NeighbourRun, ...]
    held_nanousd: dict[Slug, dict[Slug, NanoUsd]]
    """Capacity for 30 days, by design and team; modelled."""
    calibration: Calibration | None = None
    taken: UtcTime
    took_s: float
