"""Where things stand in a page's drawings: coordinates only, in the units of the SVG's view box. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from archlab.drills.curve import Curve
from archlab.drills.milestones import Milestone

WIDTH = 760
LEFT, RIGHT = 150, 70
"""Margins of a time line: names, and figures."""
EDGE = 46
"""Left margin of a curve."""
ROW, TOP = 30, 8
HIGH = 150
"""Of a curve's plot."""
STEPS = (1, 2, 5)


class Bar(NamedTuple):
    """One milestone: its row, and the stretch of time that led to it."""

    name: str
    figure: str
    title: str
    kind: str
    """Class for its colour."""
    y: float
    x: float
    width: float


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float
    label: str


class Lines(NamedTuple):
    """A time line."""

    height: float
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


class Column(NamedTuple):
    """A slice of the curve: failed answers stand on the good ones."""

    x: float
    width: float
    good_y: float
    good_height: float
    failed_y: float
    failed_height: float
    title: str


class Plot(NamedTuple):
    """The curve."""

    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    counts: tuple[Tick, ...]
    """Answers per slice, on the upper plot's axis."""
    latencies: tuple[Tick, ...]
    """Milliseconds, on the lower plot's."""
    median: tuple[str, ...]
    """Points of the lines: one line for each stretch with answers."""
    worst: tuple[str, ...]
    marks: tuple[tuple[float, str, str], ...]
    """Place, text, side of the text."""


def nice(most: float) -> float:
    """A round step that divides an axis up to `most` into four to ten parts."""
    size = 10.0 ** math.floor(math.log10(max(most, 1e-9) / 4))
    return size * next((s for s in STEPS if most / (size * s) <= 10), 10)


def ticks(first: float, last: float, place: float, length: float, unit: str = "") -> tuple[Tick, ...]:
    """Marks at round figures between two, on `length` units from `place` on."""
    step = nice(last - first)
    begin, end = math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return tuple(
        Tick(place + length * (n * step - first) / (last - first), f"{n * step:.{digits}f}{unit}")
        for n in range(begin, end + 1)
    )


def lines(milestones: Sequence[Milestone]) -> Lines:
    """A row for each moment, with a bar from the moment before; the first is the fault."""
    until = max((m.at_s for m in milestones), default=0.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / until
    before = [m.at_s for m in (*milestones[:1], *milestones[:-1])]
    bars = tuple(
        Bar(
            name=m.name,
            figure=f"{m.at_s:.2f} s",
            title=f"{m.name}, {m.at_s:.2f} s after the fault; clock: {m.clock}. {m.detail}",
            kind=m.name.partition(" ")[0].lower().strip(","),
            y=TOP + n * ROW,
            x=LEFT + before[n] * scale,
            width=max(3.0, (m.at_s - before[n]) * scale),
        )
        for n, m in enumerate(milestones)
    )
    return Lines(TOP + len(bars) * ROW + 26, bars, ticks(0.0, until, LEFT, WIDTH - LEFT - RIGHT, " s"))


def plot(found: Curve, marks: Sequence[tuple[float, str]]) -> Plot:
    """The curve of a probe: answers per slice above, latency of the good ones below.

    Args:
        found: at least one slice.
        marks: seconds after the fault, and what happened then.
    """
    first, last = found.slices[0].begins_s, found.slices[-1].begins_s + found.width_s
    most = max(1, *(s.good + s.failed for s in found.slices))
    slowest = max((s.worst_ms for s in found.slices if s.worst_ms is not None), default=1.0) or 1.0
    length = WIDTH - EDGE - 10

    def x(at_s: float) -> float:
        return EDGE + length * (at_s - first) / (last - first)

    def height(count: int) -> float:
        return HIGH * count / most

    columns = tuple(
        Column(
            x=x(s.begins_s),
            width=length / len(found.slices),
            good_y=HIGH - height(s.good),
            good_height=height(s.good),
            failed_y=HIGH - height(s.good + s.failed),
            failed_height=height(s.failed),
            title=f"{s.begins_s:.2f} s: {s.good} good, {s.failed} failed"
            + (f", median {s.median_ms:.0f} ms, slowest {s.worst_ms:.0f} ms" if s.good else ""),
        )
        for s in found.slices
    )
    middles = [x(s.begins_s + found.width_s / 2) for s in found.slices]
    return Plot(
        columns=columns,
        ticks=ticks(first, last, EDGE, length, " s"),
        counts=tuple(Tick(HIGH - t.at, t.label) for t in ticks(0, most, 0, HIGH)),
        latencies=tuple(Tick(HIGH - t.at, t.label) for t in ticks(0, slowest, 0, HIGH)),
        median=_polylines(middles, [s.median_ms for s in found.slices], slowest),
        worst=_polylines(middles, [s.worst_ms for s in found.slices], slowest),
        marks=tuple((x(at), text, "end" if x(at) > WIDTH * 0.8 else "start") for at, text in marks),
    )


def _polylines(places: Sequence[float], values: Sequence[float | None], most: float) -> tuple[str, ...]:
    """Points as SVG has them; where there is no value the line is broken."""
    found: list[list[str]] = [[]]
    for place, value in zip(places, values, strict=True):
        if value is None:
            found.append([])
        else:
            found[-1].append(f"{place:.1f},{HIGH - HIGH * value / most:.1f}")
    # a point of its own is drawn as a short dash
    return tuple(" ".join(points if len(points) > 1 else points * 2) for points in found if points)
