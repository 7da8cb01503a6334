"""Sweeps without a lab: the same spec types, with the figures that a test chooses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from archlab.spec.experiments import Estimate, Sweep, SweepPoint

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Interval = tuple[float, float]


def losses(found: Mapping[int, Interval]) -> Sweep:
    """A materialisation sweep of flight-time over corridor: loss per interval in seconds."""
    points = tuple(
        SweepPoint(
            settings={"every_s": every},
            measures={"mae": _at((5.8, 6.4)), "difference": _at(loss), "usd_per_day": _at((40 / every, 40 / every))},
            repeats=28,
        )
        for every, loss in found.items()
    )
    return _sweep("materialisation", "flight-time", points, {"view": "corridor"})


def tails(found: Mapping[int, Interval], share: float) -> Sweep:
    """A load sweep of departure-delay at one share: p99 in milliseconds per number of replicas."""
    points = tuple(
        SweepPoint(
            settings={"replicas": count, "share": share, "offered_per_s": 1000 * share},
            measures={"p99_ms": _at(p99), "per_second": _at((990, 1010)), "availability": _at((1, 1))},
            repeats=3,
        )
        for count, p99 in found.items()
    )
    return _sweep("load", "departure-delay", points, {})


def _sweep(name: str, model: str, points: tuple[SweepPoint, ...], fixed: dict[str, float | str]) -> Sweep:
    return Sweep(name=name, model=model, taken=NOON, method="By hand.", fixed=fixed, points=points)


def _at(interval: Interval) -> Estimate:
    low, high = interval
    return Estimate(value=(low + high) / 2, low=low, high=high)
