"""What keeps teams apart: pools of their own, limits at the gateway, shares of a shared pool. Pure."""

from __future__ import annotations

from archlab.errors import UserError
from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.scenario import Mode, Model, Overrides, Pool, Scenario, Team, TeamOverride
from archlab.spec.tenancy import Isolation, Quotas


def settle(scenario: Scenario, overrides: Overrides) -> Scenario:
    """The scenario with the learner's changes of teams, and a pool for each team that is to have its own.

    Twice does no harm. A team without online models needs no pool: there is nothing to keep apart.
    """
    teams = tuple(_changed(t, overrides.teams.get(t.name)) for t in scenario.teams)
    moved = {t.name for t in teams if t.isolation is Isolation.POOL and _online(scenario, t.name)}
    shared = {p.name: p for p in scenario.pools}
    pools = [*scenario.pools, *(_own(n, _online(scenario, n), shared) for n in sorted(moved) if n not in shared)]
    models = tuple(m.model_copy(update={"pool": m.team}) if m.team in moved else m for m in scenario.models)
    borrow = scenario.borrow_quotas if overrides.borrow_quotas is None else overrides.borrow_quotas
    update = {"teams": teams, "pools": tuple(pools), "models": models, "borrow_quotas": borrow}
    return scenario.model_copy(update=update)


def limits(scenario: Scenario) -> dict[str, int]:
    """Requests per second that the gateway lets through, of teams that it limits."""
    return {t.name: t.requests_per_second for t in scenario.teams if t.isolation is Isolation.LIMIT}


def shares(scenario: Scenario) -> dict[str, dict[str, int]]:
    """Places of a replica by pool and team, for teams that are held to a share.

    Each gets its part of the places by weight, among the teams that have online models there; at least one. A team
    whose isolation is another takes whatever place is free.
    """
    found = {}
    for pool in scenario.pools:
        there = {m.team for m in scenario.models if m.pool == pool.name and m.mode is Mode.ONLINE}
        teams = [t for t in scenario.teams if t.name in there]
        whole = sum(t.weight for t in teams)
        held = {t.name: max(1, pool.places * t.weight // whole) for t in teams if t.isolation is Isolation.SHARE}
        if held:
            found[pool.name] = held
    return found


def bases(scenario: Scenario, pool: Pool) -> list[tuple[Model, int]]:
    """Milli-cores of a pool's server itself, per replica, by the online models that it serves; together its base."""
    models = [m for m in scenario.models if m.pool == pool.name and m.mode is Mode.ONLINE]
    base, count = pool.base_millicores, len(models)
    parts = [(m, base * (n + 1) // count - base * n // count) for n, m in enumerate(models)]
    return [(model, part) for model, part in parts if part]


def runs(scenario: Scenario, pool: Pool) -> bool:
    """Whether a pool's servers are there: one whose servers cost something is given up when its last model has left."""
    computing = pool.serves == "onnx" and pool.base_millicores > 0
    return not computing or any(m.pool == pool.name and m.mode is Mode.ONLINE for m in scenario.models)


def owner(scenario: Scenario, pool: Pool) -> str:
    """The team that has a pool to itself; the platform where it is shared."""
    team = next((t for t in scenario.teams if t.name == pool.name), None)
    return team.name if team and team.isolation is Isolation.POOL else PLATFORM_TEAM


def _changed(team: Team, change: TeamOverride | None) -> Team:
    if change is None:
        return team
    quotas = change.model_dump(exclude_none=True, include=set(Quotas.model_fields))
    other = change.model_dump(exclude_none=True, exclude=set(Quotas.model_fields))
    return team.model_copy(update={**other, "quotas": team.quotas.model_copy(update=quotas)})


def _online(scenario: Scenario, team: str) -> list[Model]:
    return [m for m in scenario.models if m.team == team and m.mode is Mode.ONLINE]


def _own(team: str, models: list[Model], shared: dict[str, Pool]) -> Pool:
    """Servers like those that the team leaves; as many as the pool that had most."""
    left = [shared[m.pool] for m in models]
    like = max(left, key=lambda pool: pool.min_replicas)
    if any(pool.serves != "onnx" for pool in left):
        raise UserError(f"{team} has online models in a pool that serves tables.")
    return like.model_copy(update={"name": team})
