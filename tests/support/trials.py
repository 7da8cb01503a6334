"""A design trial without a lab: the same spec types, with the figures that a test chooses."""

from __future__ import annotations

from datetime import UTC, datetime

from archlab.spec.airline import Scoreboard
from archlab.spec.experiments import DesignRun, DesignTrial, Load, LoadFigures
from archlab.spec.scenario import Overrides
from synthetic import ZERO, World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run(name: str, net_usd: float, loads: tuple[Load, ...] = (), day: Scoreboard | None = None) -> DesignRun:
    """A design that nets so much on its one hidden day, for a cost of 10 USD."""
    board = day or World().day(3)
    cost = 10 * 10**9
    value = round(net_usd * 10**9) + cost
    fixed = board.model_copy(update={"value_nanousd": value, "cost_nanousd": cost, "net_nanousd": value - cost})
    return DesignRun(name=name, digest=ZERO, overrides=Overrides(), days=(fixed,), loads=loads, taken=NOON, seconds=1.0)


def trial(
    submitted: float, reference: float = 20, naive: tuple[float, ...] = (10, 4), loads: tuple[Load, ...] = ()
) -> DesignTrial:
    """What so many dollars net make of a trial; the loads are the submitted design's."""
    return DesignTrial(
        question="shape",
        submitted=run("submitted", submitted, loads),
        reference=run("reference", reference),
        naive=tuple(run(f"naive-{n}", net) for n, net in enumerate(naive)),
    )


def load(model: str, *, failures: int = 0, p99_ms: float = 20, requests: int = 1000) -> Load:
    """One model under load."""
    figures = LoadFigures(model=model, requests=requests, failures=failures, p50_ms=5, p95_ms=10, p99_ms=p99_ms)
    return Load(offered_per_s=100, seconds=10, models=(figures,))


def late(day: Scoreboard, model: str, count: int) -> Scoreboard:
    """The same day with so many of a model's answers late."""
    rows = tuple(
        m.model_copy(update={"late": count, "on_time": m.on_time - count}) if m.model == model else m
        for m in day.models
    )
    return day.model_copy(update={"models": rows})
