"""The probe's attempts over time: how many were answered, how many failed, how long the good ones took. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from archlab.spec.drill import Attempt

WIDTHS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
MOST = 150
"""Slices of a curve."""


class Slice(NamedTuple):
    """What ended in one slice of time."""

    begins_s: float
    """After the moment that counts as zero."""
    good: int
    failed: int
    median_ms: float | None
    """Of the good answers; None without one."""
    worst_ms: float | None


class Curve(NamedTuple):
    """Slices of the same width, without gaps."""

    width_s: float
    slices: tuple[Slice, ...]


def curve(attempts: Sequence[Attempt], zero: float, since: float, until: float) -> Curve:
    """Attempts by the moment of their answer.

    Args:
        attempts: in any order; what ended outside is left out.
        zero: the moment that counts as zero.
        since: where the curve begins; like the others on the attempts' clock.
        until: where it ends, later.
    """
    width = next((w for w in WIDTHS_S if (until - since) / w <= MOST), WIDTHS_S[-1])
    count = max(1, round((until - since) / width))
    sorted_in: list[list[Attempt]] = [[] for _ in range(count)]
    for attempt in attempts:
        place = int((attempt.done - since) // width)
        if 0 <= place < count:
            sorted_in[place].append(attempt)
    return Curve(width, tuple(_slice(since + n * width - zero, found) for n, found in enumerate(sorted_in)))


def _slice(begins_s: float, attempts: Sequence[Attempt]) -> Slice:
    took = [1000 * (a.done - a.sent) for a in attempts if a.ok]
    return Slice(
        begins_s,
        good=len(took),
        failed=len(attempts) - len(took),
        median_ms=median(took) if took else None,
        worst_ms=max(took, default=None),
    )
