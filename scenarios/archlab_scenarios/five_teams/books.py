"""A lab's days, teams and prices as the questions need them: pure arithmetic over evidence."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.airline import ModelScore, Scoreboard
from archlab.spec.base import NANO_PER_USD, NanoUsd
from archlab.spec.grading import Evidence
from archlab.spec.money import Resource
from archlab.spec.plan import Plan
from archlab.spec.scenario import Model, Overrides, Scenario, TeamOverride
from archlab.spec.tenancy import Isolation
from archlab.world.commitment import held

DAY = timedelta(days=1)
MONTH = timedelta(days=30)
NO_DAY = "Your lab has no whole business day on its books yet: archlab clock advance 1d"
SHARED = "online"
"""The pool that all teams began in."""
TEAMS = ("network-planning", "operations", "customer-care", "maintenance", "revenue")


def knob(evidence: Evidence, name: str) -> str:
    """What the seed decided for questions, as text."""
    return str(evidence.scenario.knobs[name])


def whole_days(evidence: Evidence) -> tuple[Scoreboard, ...]:
    """Scoreboards of whole business days, oldest first."""
    return tuple(day for day in evidence.daily if day.until - day.since >= DAY)


def models_of(scenario: Scenario, team: str) -> tuple[Model, ...]:
    """A team's models."""
    return tuple(m for m in scenario.models if m.team == team)


def rows(evidence: Evidence, day: Scoreboard, team: str) -> list[tuple[Model, ModelScore]]:
    """A team's models with their rows of a day, of those that have one."""
    by_name = {score.model: score for score in day.models}
    return [(m, by_name[m.name]) for m in models_of(evidence.scenario, team) if m.name in by_name]


def cost(evidence: Evidence, day: Scoreboard, team: str) -> NanoUsd:
    """What a team's models used and left idle on a day."""
    return sum(score.used_nanousd + score.idle_nanousd for _, score in rows(evidence, day, team))


def asked(evidence: Evidence, day: Scoreboard, team: str) -> int:
    """Requests of the business that a team's callers made on a day."""
    return sum(score.requests * model.caller.represents for model, score in rows(evidence, day, team))


def useful(evidence: Evidence, day: Scoreboard, team: str) -> int:
    """Of those, the ones that were answered in time and fresh."""
    return sum(score.on_time * model.caller.represents for model, score in rows(evidence, day, team))


def price(evidence: Evidence, resource: Resource) -> Fraction:
    """Nano-dollars per unit, as the price book has it on the business clock."""
    found = evidence.prices.at(resource, evidence.clock)
    return Fraction(found.nanousd, found.per)


def planned(evidence: Evidence, changes: Overrides) -> tuple[Scenario, Plan]:
    """The lab as these changes would make it, on top of how it is now."""
    scenario = override(evidence.scenario, changes)
    return scenario, layout(evidence.lab, scenario, evidence.variant.seed, changes)


def all_shared(evidence: Evidence) -> Plan:
    """The lab's plan as it would be with every team in the shared pool."""
    scenario = override(
        evidence.scenario, Overrides(teams=dict.fromkeys(TEAMS, TeamOverride(isolation=Isolation.NONE)))
    )
    models = tuple(m.model_copy(update={"pool": SHARED}) for m in scenario.models)
    scenario = scenario.model_copy(update={"models": models})
    return layout(evidence.lab, scenario, evidence.variant.seed, Overrides())


def holding(evidence: Evidence, scenario: Scenario) -> dict[str, NanoUsd]:
    """Capacity of 30 days by team, if the lab were this scenario."""
    plan = layout(evidence.lab, scenario, evidence.variant.seed, Overrides())
    return dict(held(scenario, plan, evidence.clock))


def usd(nanousd: Fraction | int) -> float:
    """For people: dollars."""
    return float(Fraction(nanousd) / NANO_PER_USD)
