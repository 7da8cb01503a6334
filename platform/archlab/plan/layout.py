"""Lays a scenario out: which units run, where each model's requests go, what capacity is held."""

from __future__ import annotations

from collections.abc import Mapping

from archlab.errors import SpecError, UserError
from archlab.plan.difference import diff
from archlab.plan.placement import Facts, plan_devices
from archlab.plan.resolve import override
from archlab.spec.autoscaling import Autoscaling
from archlab.spec.plan import Backend, Plan, Reservation, Role, Route, Shadow, Unit
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
) -> Plan:
    """Everything that a target carries out.

    Args:
        lab: name of the lab.
        scenario: as resolved for the seed; overrides are applied here (twice does no harm).
        seed: the learner's seed, for the record.
        overrides: the learner's desired state.
        challengers: version under the alias `challenger`, per model that has one. A canary or shadow share asked for
            while there is no challenger waits: everything goes to the champion, and nothing is mirrored.
        devices: what is known of devices; see `archlab.plan.placement`.

    Raises:
        SpecError: an online model names a pool that serves tables, or a pool takes a platform unit's name.
        UserError: overrides name something unknown, or a pool can't have more replicas than it has anyway.
    """
    scenario = override(scenario, overrides)
    scaled = overrides.autoscale or {}
    units = {pool.name: _server(pool, scenario.models, scaled.get(pool.name)) for pool in scenario.pools}
    _check(scenario)
    routes = []
    for model in scenario.models:
        change = overrides.models.get(model.name, ModelOverride())
        challenger = (challengers or {}).get(model.name, "")
        backends = _backends(model, scenario, units, change.canary_percent or 0, challenger)
        shadow = _shadow(model, change.shadow_percent or 0, challenger)
        routes.append(Route(model=model.name, team=model.team, backends=backends, shadow=shadow))
    return Plan(
        lab=lab,
        scenario=scenario.name,
        seed=seed,
        units=(*(Unit(name=role.value, role=role, replicas=1) for role in PLATFORM_UNITS), *units.values()),
        routes=tuple(routes),
        reservations=tuple(_reservation(m) for m in scenario.models if m.mode is Mode.ONLINE),
        limits={team.name: team.requests_per_second for team in scenario.teams},
        devices=plan_devices(scenario, devices),
    )


def _check(scenario: Scenario) -> None:
    serves = {pool.name: pool.serves for pool in scenario.pools}
    for name in serves:
        if name in {role.value for role in PLATFORM_UNITS}:
            raise SpecError(f"A pool can't be called {name!r}: the platform has a unit of that name.")
    computing = ", ".join(name for name, kind in serves.items() if kind == "onnx") or "none"
    for model in scenario.models:
        if model.mode is Mode.ONLINE and serves[model.pool] != "onnx":
            raise SpecError(
                f"{model.name} is online, but its pool {model.pool} serves tables only.",
                f"Pools that compute answers: {computing}.",
            )


def _server(pool: Pool, models: tuple[Model, ...], scaled: Autoscaling | None) -> Unit:
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
