"""How much of its quotas each team takes, and what is borrowed from whom leaves some. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from archlab.spec.devices import MIB
from archlab.spec.plan import Plan
from archlab.spec.scenario import Scenario, Team
from archlab.spec.tenancy import QuotaStanding, Scarce

LENDABLE = frozenset({Scarce.DEVICES, Scarce.MEMORY, Scarce.REQUESTS})
"""Money that a team does not spend stays its own."""


def limit(team: Team, what: Scarce) -> int | None:
    """What a team may take, in the unit of `what`; None is no limit."""
    match what:
        case Scarce.DEVICES:
            return team.quotas.devices
        case Scarce.MEMORY:
            return None if team.quotas.memory_bytes is None else team.quotas.memory_bytes // MIB
        case Scarce.REQUESTS:
            return team.quotas.requests_per_day
        case Scarce.BUDGET:
            return team.budget_usd


def reserved(plan: Plan) -> dict[Scarce, dict[str, int]]:
    """What a plan takes of devices and memory, by team."""
    devices: dict[str, int] = {}
    memory: dict[str, int] = {}
    for placed in plan.devices.placements if plan.devices else ():
        owner = next(route.team for route in plan.routes if route.model == placed.model)
        devices[owner] = devices.get(owner, 0) + 1
    for held in plan.reservations:
        memory[held.team] = memory.get(held.team, 0) + held.replicas * held.memory_bytes
    return {Scarce.DEVICES: devices, Scarce.MEMORY: {team: -(-size // MIB) for team, size in memory.items()}}


def standings(scenario: Scenario, what: Scarce, used: Mapping[str, int]) -> list[QuotaStanding]:
    """Where every team with a limit stands.

    With borrowing, teams beyond their limits share what the others leave, in the order of the scenario; who comes last
    may get less than it takes, and is over.
    """
    limits = {t.name: bound for t in scenario.teams if (bound := limit(t, what)) is not None}
    left = sum(max(0, bound - used.get(team, 0)) for team, bound in limits.items())
    left = left if scenario.borrow_quotas and what in LENDABLE else 0
    borrowed = {}
    for team, bound in limits.items():
        borrowed[team] = min(left, max(0, used.get(team, 0) - bound))
        left -= borrowed[team]
    return [
        QuotaStanding(team=team, what=what, used=used.get(team, 0), limit=bound, borrowed=borrowed[team], lendable=left)
        for team, bound in limits.items()
    ]


def allowed(scenario: Scenario, plan: Plan) -> dict[Scarce, dict[str, int]]:
    """Devices and memory (MiB) that each team with a limit may take now, what it can borrow included."""
    used = reserved(plan)
    found = {what: standings(scenario, what, taken) for what, taken in used.items()}
    return {what: {s.team: s.limit + s.borrowed + s.lendable for s in stand} for what, stand in found.items()}
