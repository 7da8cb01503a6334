"""What each isolation of teams would look like and hold, before it is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from archlab.lab.lab import Lab
from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.base import NanoUsd
from archlab.spec.plan import Plan, Role
from archlab.spec.scenario import Mode, Overrides, Scenario, TeamOverride
from archlab.spec.tenancy import Isolation
from archlab.world.commitment import held


@dataclass(frozen=True, slots=True)
class TeamState:
    """What keeps one team apart now."""

    team: str
    models: int
    """Online ones."""
    isolation: Isolation
    means: str
    held_nanousd: NanoUsd
    """Capacity for 30 days, asked for or not."""
    budget_usd: int | None


def asking(scenario: Scenario) -> tuple[str, ...]:
    """Teams with models."""
    return tuple(t.name for t in scenario.teams if any(m.team == t.name for m in scenario.models))


def design(overrides: Overrides, teams: Sequence[str], isolation: Isolation) -> Overrides:
    """The overrides with these teams kept apart so; everything else stays."""
    changed = {
        name: overrides.teams.get(name, TeamOverride()).model_copy(update={"isolation": isolation}) for name in teams
    }
    return overrides.model_copy(update={"teams": {**overrides.teams, **changed}})


def states(lab: Lab, now: datetime) -> list[TeamState]:
    """Every team with models as it is kept now.

    Raises:
        ArchlabError: the price book has no price for what is held.
    """
    scenario, plan = lab.scenario, lab.plan
    holding = held(scenario, plan, now)
    return [
        TeamState(
            team=name,
            models=sum(m.team == name and m.mode is Mode.ONLINE for m in scenario.models),
            isolation=scenario.team(name).isolation,
            means=means(scenario, plan, name),
            held_nanousd=holding[name],
            budget_usd=scenario.team(name).budget_usd,
        )
        for name in asking(scenario)
    ]


def means(scenario: Scenario, plan: Plan, team: str) -> str:
    """What an isolation comes to in a plan, in words."""
    match scenario.team(team).isolation:
        case Isolation.LIMIT:
            return f"at most {plan.limits[team]:,} requests a second at the gateway"
        case Isolation.SHARE:
            shares = {pool: teams[team] for pool, teams in plan.shares.items() if team in teams}
            said = (f"{n} of {_places(scenario, pool)} places in {pool}" for pool, n in shares.items())
            return ", ".join(said) or "nothing online to share"
        case Isolation.POOL:
            own = [f"{u.replicas} servers of its own" for u in plan.units if u.role is Role.SERVER and u.team == team]
            return own[0] if own else "nothing online to keep apart"
        case Isolation.NONE:
            return "nothing between it and the others"


def holdings(lab: Lab, overrides: Overrides, now: datetime) -> dict[str, NanoUsd]:
    """Capacity for 30 days by team, as these overrides would have it.

    Raises:
        ArchlabError: the price book has no price for what would be held.
    """
    scenario = override(lab.resolved, overrides)
    plan = layout(lab.name, lab.resolved, lab.identity.seed, overrides)
    holding = held(scenario, plan, now)
    return {name: holding[name] for name in asking(scenario)}


def _places(scenario: Scenario, pool: str) -> int:
    return next(p.places for p in scenario.pools if p.name == pool)
