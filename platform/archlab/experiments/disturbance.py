"""What a report of noisy neighbours says: ratios within a run, medians over rounds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from archlab.spec.base import NanoUsd
from archlab.spec.neighbours import CONTROL, NeighbourReport, NeighbourRun, TeamFigures

QUIET = 2.0
"""A control whose p99 moves by more than so many times tells of the machine, and the whole measurement of nothing."""


class Spread(NamedTuple):
    """A figure over rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))


class Row(NamedTuple):
    """One design, one victim."""

    design: str
    team: str
    before_ms: Spread
    during_ms: Spread
    worse: Spread
    """p99 during ÷ before, within a run."""
    after: Spread
    """p99 after ÷ before."""
    errors: float
    """Share of the requests during the noise, all rounds together."""
    throughput: Spread
    """Answered per second, during ÷ before."""


class Outcome(NamedTuple):
    """One design: its worst-hit victim, what became of the noise, and what it holds."""

    design: str
    worst: Row
    noise_answered_per_s: Spread | None
    noise_refused: float
    """Share of the noise, all rounds together."""
    held_nanousd: NanoUsd | None


def rows(report: NeighbourReport) -> list[Row]:
    """Every design and victim, in the order that they were measured."""
    designs = list(dict.fromkeys(run.design for run in report.runs))
    teams = sorted({team for run in report.runs for team in run.during})
    return [_row(design, team, [r for r in report.runs if r.design == design]) for design in designs for team in teams]


def outcomes(report: NeighbourReport) -> list[Outcome]:
    """Every design by the victim that it protects least."""
    found = rows(report)
    return [_outcome(report, design, found) for design in dict.fromkeys(row.design for row in found)]


def void(report: NeighbourReport) -> str:
    """Why nothing follows from a report: the control moved as well. Empty when it stood still."""
    moved = [row for row in rows(report) if row.design == CONTROL and row.worse.median > QUIET]
    if not moved:
        return ""
    worst = max(moved, key=lambda row: row.worse.median)
    return f"without any noise the p99 of {worst.team} grew {worst.worse.median:.1f} times: the machine was busy"


def _row(design: str, team: str, runs: Sequence[NeighbourRun]) -> Row:
    before, during, after = ([getattr(run, phase)[team] for run in runs] for phase in ("before", "during", "after"))
    return Row(
        design=design,
        team=team,
        before_ms=Spread.of([f.p99_ms for f in before]),
        during_ms=Spread.of([f.p99_ms for f in during]),
        worse=_ratio(during, before, "p99_ms"),
        after=_ratio(after, before, "p99_ms"),
        errors=sum(f.failures for f in during) / max(1, sum(f.requests for f in during)),
        throughput=_ratio(during, before, "per_second"),
    )


def _ratio(upper: Sequence[TeamFigures], lower: Sequence[TeamFigures], name: str) -> Spread:
    return Spread.of([getattr(u, name) / max(getattr(b, name), 1e-9) for u, b in zip(upper, lower, strict=True)])


def _outcome(report: NeighbourReport, design: str, found: Sequence[Row]) -> Outcome:
    noises = [run.noise for run in report.runs if run.design == design and run.noise]
    held = report.held_nanousd.get(design)
    return Outcome(
        design=design,
        worst=max((row for row in found if row.design == design), key=lambda row: (row.errors, row.worse.median)),
        noise_answered_per_s=Spread.of([n.answered_per_s for n in noises]) if noises else None,
        noise_refused=sum(n.failures for n in noises) / max(1, sum(n.requests for n in noises)),
        held_nanousd=sum(held.values()) if held else None,
    )
