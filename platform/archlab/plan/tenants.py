"""Which teams have something to themselves, who is of them, and what they may hold. Pure."""

from __future__ import annotations

from archlab.plan import quotas
from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.devices import MIB
from archlab.spec.plan import Plan, Tenant, Unit
from archlab.spec.scenario import Scenario, Team
from archlab.spec.tenancy import Scarce


def tenants(scenario: Scenario, plan: Plan) -> tuple[Tenant, ...]:
    """Teams with a quota of memory or devices, or with a pool of their own, in the order of the scenario.

    Args:
        scenario: with the overrides applied.
        plan: laid out from it; what it reserves decides what can be borrowed.
    """
    allowed = quotas.allowed(scenario, plan)
    apart = {unit.team for unit in plan.units} - {PLATFORM_TEAM}
    return tuple(
        Tenant(
            team=team.name,
            members={user.name: user.roles for user in scenario.users if user.team == team.name},
            replicas=_replicas(scenario, team, allowed[Scarce.MEMORY].get(team.name)),
            devices=allowed[Scarce.DEVICES].get(team.name),
        )
        for team in scenario.teams
        if team.name != PLATFORM_TEAM and (team.name in apart or any(team.name in held for held in allowed.values()))
    )


def most_replicas(plan: Plan, unit: Unit) -> int | None:
    """Servers that a scaler may give a unit, by its team's quota; None sets no limit.

    What a cluster's quota has beyond is for rollouts, which start a new pod before an old one stops.
    """
    found = next((tenant.replicas for tenant in plan.tenants if tenant.team == unit.team), None)
    return None if found is None else max(found, unit.replicas)


def ceiling(plan: Plan, unit: Unit) -> int:
    """Servers that a unit has at most: by what a learner lets a scaler do, and by its team's quota."""
    if unit.autoscaling is None:
        return unit.replicas
    bounds = (unit.autoscaling.max_replicas, most_replicas(plan, unit))
    return min(bound for bound in bounds if bound is not None)


def in_words(unit: Unit, most: int) -> str:
    """Why a scaler stops there, and who can change it."""
    return f"the quota of team {unit.team} lets it have {most}, an operator can raise it: {raised(unit)}"


def raised(unit: Unit) -> str:
    """The command that lets a team's pool have more servers."""
    return f"archlab quota set {unit.team} memory MIB"


def _replicas(scenario: Scenario, team: Team, memory_mib: int | None) -> int | None:
    """At most one server for each replica of the team's smallest model that the memory is enough for.

    For a team without models the smallest of the scenario counts.
    """
    own = [model.memory_bytes for model in scenario.models if model.team == team.name]
    sizes = own or [model.memory_bytes for model in scenario.models]
    return None if memory_mib is None or not sizes else memory_mib * MIB // min(sizes)
