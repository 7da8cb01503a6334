"""Lays a scenario out: which units run, where each model's requests go, what capacity is held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archlab.errors import SpecError, UserError
from archlab.plan import tenancy
from archlab.plan.access import Access
from archlab.plan.difference import diff
from archlab.plan.placement import Facts, plan_devices
from archlab.plan.regions import spread
from archlab.plan.resolve import override
from archlab.plan.tenants import tenants
from archlab.spec.autoscaling import Autoscaling
from archlab.spec.plan import Backend, Plan, Reservation, Role, Route, Shadow, Unit
from archlab.spec.regions import RegionState
from archlab.spec.scenario import Mode, Model, ModelOverride, Overrides, Pool, Scenario

__all__ = ["diff", "layout"]

PLATFORM_UNITS = (Role.GATEWAY, Role.REGISTRY, Role.CONTROL)


def layout(
    lab: str,
    scenario: Scenario,
    seed: int,
    overrides: Overrides,
    challengers: Mapping[str, str] | None = None,
    devices: Facts | None = None,
    shares: Mapping[str, int] | None = None,
    regions: RegionState | None = None,
) -> Plan:
    """Everything that a target carries out.

    Args:
        lab: name of the lab.
        scenario: as resolved for the seed; overrides are applied here (twice does no harm).
        seed: the learner's seed, for the record.
        overrides: the learner's desired state.
        challengers: version under the alias `challenger`, per model that has one. A canary or shadow share asked for
            while there is no challenger waits: everything goes to the champion, and nothing is mirrored.
        shares: percent of the callers that a challenger may answer, per model; a larger canary waits. None: as large as
            it is asked for.
        devices: what is known of devices; see `archlab.plan.placement`.
        regions: where a pair of regions stands; None before anything runs.

    Raises:
        SpecError: an online model names a pool that serves tables, or a pool takes a platform unit's name.
        UserError: overrides name something unknown, or a pool can't have more replicas than it has anyway.
    """
    scenario = override(scenario, overrides)
    scaled = overrides.autoscale or {}
    units = {p.name: _server(p, scenario, scaled.get(p.name)) for p in scenario.pools if tenancy.runs(scenario, p)}
    _check(scenario)
    plan = Plan(
        lab=lab,
        scenario=scenario.name,
        seed=seed,
        units=(*(Unit(name=role.value, role=role, replicas=1) for role in PLATFORM_UNITS), *units.values()),
        routes=tuple(_routes(scenario, overrides, units, challengers or {}, shares)),
        reservations=(
            *(_reservation(m) for m in scenario.models if m.mode is Mode.ONLINE),
            *(held for pool in scenario.pools for held in _bases(scenario, pool, units)),
        ),
        limits=tenancy.limits(scenario),
        shares=tenancy.shares(scenario),
        devices=plan_devices(scenario, devices),
    )
    plan = plan.model_copy(update={"tenants": tenants(scenario, plan)})
    return spread(plan, scenario, regions)


def _routes(
    scenario: Scenario,
    overrides: Overrides,
    units: dict[str, Unit],
    challengers: Mapping[str, str],
    shares: Mapping[str, int] | None,
) -> Iterator[Route]:
    access = Access.of(scenario)
    for model in scenario.models:
        change = overrides.models.get(model.name, ModelOverride())
        change = change.model_copy(update={"canary_percent": _within(change.canary_percent or 0, model.name, shares)})
        challenger = challengers.get(model.name, "")
        yield _route(model, scenario, units, change, challenger, access.callers(model.name))


def _route(
    model: Model,
    scenario: Scenario,
    units: dict[str, Unit],
    change: ModelOverride,
    challenger: str,
    callers: tuple[str, ...],
) -> Route:
    return Route(
        model=model.name,
        team=model.team,
        backends=_backends(model, scenario, units, change.canary_percent or 0, challenger),
        shadow=_shadow(model, change.shadow_percent or 0, challenger),
        callers=callers,
    )


def _within(percent: int, model: str, shares: Mapping[str, int] | None) -> int:
    return percent if shares is None or percent <= shares.get(model, 0) else 0


def _check(scenario: Scenario) -> None:
    serves = {pool.name: pool.serves for pool in scenario.pools}
    for name in serves:
        if name in {role.value for role in Role} - {Role.SERVER.value}:
            raise SpecError(f"A pool can't be called {name!r}: the platform has a unit of that name.")
    computing = ", ".join(name for name, kind in serves.items() if kind == "onnx") or "none"
    for model in scenario.models:
        if model.mode is Mode.ONLINE and serves[model.pool] != "onnx":
            raise SpecError(
                f"{model.name} is online, but its pool {model.pool} serves tables only.",
                f"Pools that compute answers: {computing}.",
            )


def _server(pool: Pool, scenario: Scenario, scaled: Autoscaling | None) -> Unit:
    models = scenario.models
    held = [m.replicas for m in models if m.pool == pool.name and m.mode is Mode.ONLINE and pool.serves == "onnx"]
    least = max([pool.min_replicas, *held])
    if scaled and scaled.max_replicas <= least:
        raise UserError(
            f"{pool.name} has {least} replicas anyway: with at most {scaled.max_replicas} they could never change.",
            f"Allow more (archlab autoscale {pool.name} {scaled.signal.value} --max N), or ask for fewer replicas.",
        )
    return Unit(
        name=pool.name,
        role=Role.SERVER,
        replicas=least,
        pool=pool.name,
        runtime=pool.runtime,
        serves=pool.serves,
        team=tenancy.owner(scenario, pool),
        autoscaling=scaled,
    )


def _backends(
    model: Model, scenario: Scenario, units: dict[str, Unit], percent: int, challenger: str
) -> tuple[Backend, ...]:
    if model.mode is Mode.BATCH:
        unit = units[_table_pool(model, scenario)]
        return (Backend(unit=unit.name, replicas=unit.replicas, weight=100),)
    if not percent or not challenger:
        return (Backend(unit=model.pool, replicas=model.replicas, weight=100),)
    return (
        Backend(unit=model.pool, replicas=model.replicas, weight=100 - percent),
        Backend(unit=model.pool, replicas=model.replicas, weight=percent, version=challenger),
    )


def _shadow(model: Model, percent: int, challenger: str) -> Shadow | None:
    if model.mode is Mode.BATCH or not percent or not challenger:
        return None
    return Shadow(unit=model.pool, replicas=model.replicas, percent=percent, version=challenger)


def _table_pool(model: Model, scenario: Scenario) -> str:
    tables = [pool.name for pool in scenario.pools if pool.serves == "table"]
    return model.pool if model.pool in tables else tables[0]


def _reservation(model: Model) -> Reservation:
    return Reservation(
        model=model.name,
        team=model.team,
        unit=model.pool,
        replicas=model.replicas,
        cpu_millicores=model.cpu_millicores,
        memory_bytes=model.memory_bytes,
    )


def _bases(scenario: Scenario, pool: Pool, units: dict[str, Unit]) -> list[Reservation]:
    return [
        Reservation(
            model=model.name,
            team=model.team,
            unit=pool.name,
            replicas=units[pool.name].replicas,
            cpu_millicores=part,
            memory_bytes=0,
            part="server",
        )
        for model, part in tenancy.bases(scenario, pool)
    ]
