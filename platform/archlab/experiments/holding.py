"""Whether a design held a noisy team: judged by what the others were measured to feel of it, never by what was set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

from archlab.experiments.intervals import of_repeats
from archlab.spec.experiments import DesignRun, DesignTrial, LoadFigures, Noise
from archlab.spec.scenario import Model
from archlab.spec.tenancy import Isolation

UNDER_NOISE = Fraction(95, 100)
"""Of the other teams' requests that are answered while one is noisy."""
EASED = Fraction(1, 2)
"""Of what the others feel with nothing between them and the noise: a design that leaves them more did not hold it."""
FEW = 20
"""Requests from which a 95th percentile is more than the slowest one."""
REPEATS = 3
"""Loads from which a percentile may count as broken."""


@dataclass(frozen=True, slots=True)
class Felt:
    """What the others noticed while one team was noisy."""

    unanswered: Fraction
    """Of all their requests."""
    typical_ms: float
    """Median over models and loads of the median answer."""
    slow_ms: float
    """The same of the 95th percentile."""


def noise(run: DesignRun) -> Noise | None:
    """Who was noisy while a design was measured; None for nobody, or for a team that had nothing to be noisy with."""
    return next((load.noise for load in run.loads if load.noise and load.noise.figures), None)


def felt(run: DesignRun) -> Felt:
    """What the others noticed in a design's loads; there must be one."""
    figures = [f for load in run.loads for f in load.models]
    asked, failed = sum(f.requests for f in figures), sum(f.failures for f in figures)
    return Felt(
        unanswered=Fraction(failed, asked) if asked else Fraction(1),
        typical_ms=median(f.p50_ms for f in figures),
        slow_ms=median(f.p95_ms for f in figures),
    )


def held(run: DesignRun, trial: DesignTrial) -> bool:
    """Whether the others felt at most half of what they felt with nothing between; true where nobody was noisy.

    Where nothing between left more than 5 % of their requests without an answer, that share has to be halved;
    otherwise their typical wait, and they have to be answered.
    """
    if noise(run) is None or (free := with_nothing_between(trial)) is None:
        return True
    before, now = felt(free), felt(run)
    if before.unanswered > 1 - UNDER_NOISE:
        return now.unanswered <= EASED * before.unanswered
    return now.unanswered <= 1 - UNDER_NOISE and now.typical_ms <= float(EASED) * before.typical_ms


def too_slow(figures: LoadFigures, model: Model) -> bool:
    """Whether one load beside noise speaks against a model's p99: even its 95th percentile lies above it."""
    return figures.requests >= FEW and figures.p95_ms > model.slo.p99_ms


def latency(repeats: Sequence[LoadFigures], model: Model) -> str:
    """How a model broke its p99 beside noise, in words; empty when it didn't.

    Few requests are asked meanwhile, so the 95th percentile is taken: when all of its interval over the repeated loads
    is above what is promised of the 99th, so is that.
    """
    tails = [f.p95_ms for f in repeats if f.requests >= FEW]
    if len(tails) < REPEATS or (p95 := of_repeats(tails)).low <= model.slo.p99_ms:
        return ""
    return (
        f"one in twenty of {model.name}'s answers beside the noise took {p95.value:.0f} ms or more "
        f"({p95.low:.0f} to {p95.high:.0f}), promised was a p99 of {model.slo.p99_ms}"
    )


def loudness(run: DesignRun) -> str:
    """Who was noisy and how, one sentence; empty for nobody."""
    if (found := noise(run)) is None or found.figures is None:
        return ""
    rows = f", {found.figures.rows:,} rows each time" if found.figures.rows else ""
    return f"{found.team} asked {found.figures.offered_per_s:g} times a second{rows}."


def table(named: Sequence[tuple[str, DesignRun]]) -> str:
    """What the others felt under each design, as a Markdown table."""
    lines = ["| design | the others answered | typical ms | 95 % within, ms |", "| --- | ---: | ---: | ---: |"]
    for name, run in named:
        found = felt(run)
        answered = f"{float(1 - found.unanswered):.1%}"
        lines.append(f"| {name} | {answered} | {found.typical_ms:,.0f} | {found.slow_ms:,.0f} |")
    return "\n".join(lines)


def with_nothing_between(trial: DesignTrial) -> DesignRun | None:
    """The naive design that let the noise through; None where there is none, and so nothing to compare with."""
    return next((run for run in trial.naive if (n := noise(run)) and n.isolation is Isolation.NONE), None)
