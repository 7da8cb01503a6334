"""Lays a lab out in two regions: what runs where, who is asked when, what the second region costs. Pure.

One rule for servers: a model runs in the primary's region with all its replicas; in the other one as its tier's posture
says. When a region is lost the other one carries everything: then every model runs there with all its replicas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from archlab.errors import SpecError, UserError
from archlab.spec.plan import Backend, Elsewhere, Plan, Reservation, Role, Route, Unit
from archlab.spec.regions import (
    FILES,
    Copying,
    Detection,
    Held,
    Part,
    PostureChange,
    Promotion,
    Regions,
    RegionsOverride,
    RegionsPlan,
    RegionState,
    Standby,
    TierPosture,
)
from archlab.spec.scenario import Mode, Model, Pool, Scenario

DATABASE = Role.DATABASE.value
LINK = Role.LINK.value
KIB = 1024


def settle(regions: Regions | None, change: RegionsOverride | None, models: Iterable[str]) -> Regions | None:
    """The pair with the learner's changes. Twice does no harm.

    Raises:
        UserError: the lab has no regions, or no model of that name.
    """
    if change is None:
        return regions
    if regions is None:
        raise UserError("This lab runs in one place: there are no tiers to change.", "See: archlab scenarios list")
    known = set(models)
    if unknown := sorted(change.models.keys() - known):
        raise UserError(f"There is no model {unknown[0]!r}.", f"Known: {', '.join(sorted(known))}.")
    tiers = {tier: _changed(held, change.tiers.get(tier)) for tier, held in regions.tiers.items()}
    return regions.model_copy(
        update={
            "tiers": tiers,
            "parts": {**regions.parts, **change.parts},
            "models": {**regions.models, **change.models},
        }
    )


def _changed(held: TierPosture, change: PostureChange | None) -> TierPosture:
    return held.model_copy(update=change.model_dump(exclude_none=True)) if change else held


def state_of(regions: Regions, state: RegionState | None) -> RegionState:
    """Where the pair stands; at first the first region is primary.

    Raises:
        SpecError: the state is another pair's.
    """
    if state is None:
        return RegionState(primary=regions.names[0])
    if unknown := {state.primary, *state.lost} - set(regions.names):
        raise SpecError(f"The lab's state names region {unknown.pop()!r}; its regions are {', '.join(regions.names)}.")
    return state


def spread(plan: Plan, scenario: Scenario, known: RegionState | None) -> Plan:
    """The plan of one place, laid out in the scenario's regions; unchanged when it has none.

    Args:
        plan: as everything would run in one place.
        scenario: resolved, with overrides.
        known: where the pair stands; None before anything runs.

    Raises:
        SpecError: the state is another pair's.
    """
    regions = scenario.regions
    if regions is None:
        return plan
    state = state_of(regions, known)
    outside = [u for u in plan.units if u.role in (Role.GATEWAY, Role.CONTROL)]
    pools = {u.pool: u for u in plan.units if u.role is Role.SERVER}
    units = (*outside, *_units(scenario, regions, state, pools))
    there = {u.name: u for u in units}
    models = {m.name: m for m in scenario.models}
    return plan.model_copy(
        update={
            "units": units,
            "routes": tuple(_route(r, regions, state, models[r.model], there) for r in plan.routes),
            "reservations": tuple(
                spread for held in plan.reservations for spread in _reserved(held, regions, state, models, there)
            ),
            "regions": pair(scenario, regions, state),
        }
    )


def unit_name(name: str, region: str) -> str:
    """`<name>-<region>`."""
    return f"{name}-{region}"


def spread_replicas(regions: Regions, state: RegionState, model: Model, region: str) -> int:
    """Replicas of a model in a region; a batch model counts as one with a single replica, of a table's server."""
    wanted = model.replicas if model.mode is Mode.ONLINE else 1
    if region in state.lost:
        return 0
    if region in (state.primary, state.raised):
        return wanted
    match regions.of_model(model.name).posture:
        case Standby.ACTIVE_ACTIVE:
            return wanted
        case Standby.WARM_STANDBY:
            return 1
        case _:
            return 0


def _units(scenario: Scenario, regions: Regions, state: RegionState, pools: Mapping[str, Unit]) -> list[Unit]:
    # a line belongs to no region: it is what lies between them, and it stays when one is lost
    found = [Unit(name=unit_name(LINK, region), role=Role.LINK, replicas=1) for region in regions.names]
    if regions.of(Part.REGISTRY).promotion is Promotion.AUTOMATIC:
        found.append(Unit(name=Role.WATCH.value, role=Role.WATCH, replicas=1))
    for region in regions.names:
        if region in state.lost:
            continue
        found += _platform(scenario, regions, state, region)
        for pool in scenario.pools:
            unit = pools.get(pool.name)
            if unit is not None and (replicas := _replicas(scenario, regions, state, pool, unit, region)):
                name = unit_name(unit.name, region)
                found.append(unit.model_copy(update={"name": name, "replicas": replicas, "region": region}))
    return found


def _platform(scenario: Scenario, regions: Regions, state: RegionState, region: str) -> list[Unit]:
    """Registry, database and store of files of one region, as far as the postures keep them there."""
    posture, first = regions.of(Part.REGISTRY).posture, region in (state.primary, state.raised)
    wanted = (
        (Role.STORE, _keeps_files(scenario, regions)),
        (Role.DATABASE, posture is not Standby.BACKUP_ONLY),
        (Role.REGISTRY, posture.runs),
    )
    return [
        Unit(name=unit_name(role.value, region), role=role, replicas=1, region=region)
        for role, beforehand in wanted
        if first or beforehand
    ]


def _keeps_files(scenario: Scenario, regions: Regions) -> bool:
    """Whether the second region has files beforehand, or servers that are told what to load."""
    kept = any(regions.of(part).posture is not Standby.BACKUP_ONLY for part in FILES)
    return kept or any(regions.of_model(model.name).posture.runs for model in scenario.models)


def _replicas(scenario: Scenario, regions: Regions, state: RegionState, pool: Pool, unit: Unit, region: str) -> int:
    if region in (state.primary, state.raised):
        return unit.replicas
    held = [spread_replicas(regions, state, m, region) for m in _carried(scenario, pool)]
    return max(held, default=0)


def _carried(scenario: Scenario, pool: Pool) -> list[Model]:
    """Models whose requests a pool's servers answer."""
    if pool.serves == "onnx":
        return [m for m in scenario.models if m.pool == pool.name and m.mode is Mode.ONLINE]
    return [m for m in scenario.models if m.mode is Mode.BATCH]


def _route(route: Route, regions: Regions, state: RegionState, model: Model, units: Mapping[str, Unit]) -> Route:
    backends = tuple(_backend(b, regions, state, model, units) for b in route.backends)
    shadow = route.shadow
    if shadow is not None:
        shadow = shadow.model_copy(update={"unit": unit_name(shadow.unit, state.primary)})
    return route.model_copy(update={"backends": backends, "shadow": shadow})


def _backend(
    backend: Backend, regions: Regions, state: RegionState, model: Model, units: Mapping[str, Unit]
) -> Backend:
    """The same servers of the other region behind it, or beside it."""
    other = regions.other(state.primary)
    there = unit_name(backend.unit, other)
    replicas = spread_replicas(regions, state, model, other)
    elsewhere: tuple[Elsewhere, ...] = ()
    if replicas and there in units:
        beside = regions.of_model(model.name).posture is Standby.ACTIVE_ACTIVE
        elsewhere = (Elsewhere(unit=there, replicas=replicas, priority=0 if beside else 1),)
    return backend.model_copy(update={"unit": unit_name(backend.unit, state.primary), "elsewhere": elsewhere})


def _reserved(
    held: Reservation,
    regions: Regions,
    state: RegionState,
    models: Mapping[str, Model],
    units: Mapping[str, Unit],
) -> list[Reservation]:
    """What a model holds in each region. A model's part of the servers themselves is held by each server there."""
    found = []
    for region in regions.names:
        unit = units.get(unit_name(held.unit, region))
        replicas = spread_replicas(regions, state, models[held.model], region) if unit else 0
        if unit and replicas:
            count = unit.replicas if held.part == "server" else replicas
            found.append(held.model_copy(update={"unit": unit.name, "replicas": count}))
    return found


def pair(scenario: Scenario, regions: Regions, state: RegionState) -> RegionsPlan:
    """What a target has to know beside the units."""
    registry, other = regions.of(Part.REGISTRY), regions.other(state.primary)
    asked = [regions.of_model(m.name) for m in scenario.models] or [registry]
    servers = min(asked, key=lambda tier: tier.detection_ms)
    return RegionsPlan(
        names=regions.names,
        primary=state.primary,
        lost=state.lost,
        raised=state.raised,
        database=registry.posture,
        replication=registry.replication,
        archive_every_s=registry.backup_every_s,
        backup_keep=registry.backup_keep,
        latency_ms=regions.latency_ms,
        bytes_per_s=regions.bytes_per_s,
        registry=_detection(registry),
        servers=_detection(servers),
        copies=tuple(_copying(part, regions.of(part)) for part in FILES),
        held=() if other in state.lost else tuple(_held(regions, other)),
        backups_kib=sum(regions.of(part).backup_keep for part in Part) * regions.state_mib * KIB // len(Part),
    )


def _held(regions: Regions, other: str) -> list[Held]:
    """What the platform's parts hold in the other region. A database that follows is held from pilot light on."""
    found = []
    if regions.of(Part.REGISTRY).posture is not Standby.BACKUP_ONLY:
        found.append(Held(name=DATABASE, region=other, millicores=regions.database_millicores))
    found += [
        Held(name=part.value, region=other, millicores=regions.millicores.get(part, 0))
        for part in Part
        if regions.of(part).posture.runs
    ]
    return [held for held in found if held.millicores]


def _copying(part: Part, tier: TierPosture) -> Copying:
    return Copying(part=part, posture=tier.posture, every_s=tier.backup_every_s, keep=tier.backup_keep)


def _detection(tier: TierPosture) -> Detection:
    return Detection(check_every_ms=tier.check_every_ms, failures_to_detect=tier.failures_to_detect)
