"""Usage of one tick: capacity that is held or committed to, processor time, materialisation, look-ups, files. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.devices import Device, DeviceBasis, DevicePlacement
from archlab.spec.money import Basis, Purchase, Resource, Usage, UsageKind
from archlab.spec.plan import Plan
from archlab.spec.release import Release
from archlab.spec.scenario import Mode, Scenario

_SAMPLE = re.compile(r"^archlab_inference_cpu_seconds_total\{(?P<labels>[^}]*)\}\s+(?P<value>\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Meter(NamedTuple):
    """One model on one replica."""

    model: str
    unit: str
    replica: str


Meters = Mapping[Meter, float]
"""Thread processor time in seconds, counted since the replica was started."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The tick that is metered."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        """Its length."""
        return (self.end - self.start) // timedelta(seconds=1)


def read_meters(exposition: str) -> dict[Meter, float]:
    """Processor time per model and replica from Prometheus text; versions are added up."""
    found: dict[Meter, float] = {}
    for match in _SAMPLE.finditer(exposition):
        labels = dict(_LABEL.findall(match["labels"]))
        meter = Meter(labels.get("model", ""), labels.get("unit", ""), labels.get("replica", ""))
        found[meter] = found.get(meter, 0.0) + float(match["value"])
    return found


def taken(before: Meters, after: Meters) -> dict[Meter, float]:
    """Seconds between two readings; a counter that fell belongs to a replica that was started anew."""
    return {m: now - before.get(m, 0.0) if now >= before.get(m, 0.0) else now for m, now in after.items()}


def usage(
    interval: Interval,
    scenario: Scenario,
    plan: Plan,
    seconds: Meters,
    materialized: Iterable[str],
    requests: Counter[str],
    releases: Iterable[Release] = (),
) -> tuple[Usage, ...]:
    """Everything one tick took.

    Args:
        interval: the tick.
        scenario: resolved; prices of runs, volumes, modes.
        plan: what is reserved.
        seconds: measured processor time in this tick.
        materialized: views that were materialised for it.
        requests: replayed requests per model.
        releases: whose files are kept.
    """
    return (
        *reserved(interval, scenario, plan),
        *committed(interval, scenario),
        *_used(interval, scenario, plan, seconds),
        *_unclaimed(interval, scenario, plan, seconds),
        *_features(interval, scenario, frozenset(materialized)),
        *_lookups(interval, scenario, requests),
        *_stored(interval, scenario, releases),
        _platform(interval, scenario),
    )


def reserved(interval: Interval, scenario: Scenario, plan: Plan) -> list[Usage]:
    """What a plan holds in an interval, used or not: replicas' cores, devices, what stands by, backups."""
    bought = _bought(scenario, plan)
    return [*_cores(interval, plan, bought), *_devices(interval, plan, bought), *_standby(interval, scenario, plan)]


def committed(interval: Interval, scenario: Scenario) -> list[Usage]:
    """Commitments as far as they reach into an interval, drawn on or not."""
    found = []
    for made in scenario.prices.commitments:
        start, end = max(made.starts, interval.start), min(made.ends, interval.end)
        if start < end:
            found.append(
                _record(
                    interval,
                    f"committed/{made.name}",
                    team=made.team,
                    model="",
                    mode="commitment",
                    unit=made.name,
                    resource=made.resource,
                    kind=UsageKind.COMMITTED,
                    quantity=made.per_second * Interval(start, end).seconds,
                    basis=Basis.MODELLED,
                    bought=(Purchase.RESERVED, made.name),
                )
            )
    return found


Bought = tuple[Purchase, str]
"""How, and out of which commitment."""
ON_DEMAND: Bought = (Purchase.ON_DEMAND, "")


def _bought(scenario: Scenario, plan: Plan) -> dict[str, Bought]:
    """How what a unit holds is bought, by unit."""
    pools = {pool.name: (pool.purchase, pool.commitment) for pool in scenario.pools}
    return {unit.name: pools.get(unit.pool, ON_DEMAND) for unit in plan.units}


def _cores(interval: Interval, plan: Plan, bought: Mapping[str, Bought]) -> list[Usage]:
    return [
        _record(
            interval,
            f"{'reserved' if held.part == 'model' else held.part}/{held.model}/{held.unit}-{index}",
            team=held.team,
            model=held.model,
            mode=Mode.ONLINE.value,
            unit=f"{held.unit}-{index}",
            resource=Resource.ONLINE_CPU,
            kind=UsageKind.RESERVED,
            quantity=held.cpu_millicores * interval.seconds,
            basis=Basis.MODELLED,
            bought=bought.get(held.unit, ON_DEMAND),
        )
        for held in plan.reservations
        for index in range(held.replicas)
    ]


def _devices(interval: Interval, plan: Plan, bought: Mapping[str, Bought]) -> list[Usage]:
    """Device time that is held. What a device did with it is not known of an emulated one, and so all of it is idle."""
    if plan.devices is None:
        return []
    return [
        _record(
            interval,
            f"device/{held.model}/{held.unit}-{held.replica}",
            team=held.team,
            model=held.model,
            mode=Mode.ONLINE.value,
            unit=f"{held.unit}-{held.replica}",
            resource=Resource.DEVICE_SLICE if held.slice else Resource.DEVICE,
            kind=UsageKind.RESERVED,
            quantity=device_milliseconds(interval.seconds * 1000, held, plan.devices.device(held.device)),
            basis=Basis.EMULATED if held.basis is DeviceBasis.EMULATED else Basis.MODELLED,
            bought=bought.get(held.unit, ON_DEMAND),
        )
        for held in plan.devices.placements
    ]


def _standby(interval: Interval, scenario: Scenario, plan: Plan) -> list[Usage]:
    """What the platform's parts hold in the second region, and the backups that are kept where storage has a price."""
    if plan.regions is None:
        return []
    found = [
        _record(
            interval,
            f"standby/{held.name}-{held.region}",
            team=PLATFORM_TEAM,
            model="",
            mode="platform",
            unit=f"{held.name}-{held.region}",
            resource=Resource.PLATFORM_CPU,
            kind=UsageKind.CONSUMED,
            quantity=held.millicores * interval.seconds,
            basis=Basis.MODELLED,
        )
        for held in plan.regions.held
    ]
    if plan.regions.backups_kib and scenario.prices.known(Resource.STORAGE, interval.end):
        found.append(
            _record(
                interval,
                "backups",
                team=PLATFORM_TEAM,
                model="",
                mode="storage",
                unit="backups",
                resource=Resource.STORAGE,
                kind=UsageKind.CONSUMED,
                quantity=plan.regions.backups_kib * interval.seconds,
                basis=Basis.MODELLED,
            )
        )
    return found


def device_milliseconds(elapsed_ms: int, held: DevicePlacement, device: Device) -> int:
    """What a placement is charged: its slice, all of the device when it holds it alone, or its share of the memory."""
    if held.slice:
        return elapsed_ms * next(s.compute for s in device.slices if s.name == held.slice)
    if held.exclusive:
        return elapsed_ms
    return -(-elapsed_ms * held.memory_bytes // device.memory_bytes)


def _used(interval: Interval, scenario: Scenario, plan: Plan, seconds: Meters) -> list[Usage]:
    """Measured processor time, scaled up to the real requests that the replayed ones stand for."""
    teams = {held.model: held.team for held in plan.reservations}
    return [
        _record(
            interval,
            f"used/{meter.model}/{meter.unit}-{meter.replica}",
            team=teams[meter.model],
            model=meter.model,
            mode=Mode.ONLINE.value,
            unit=f"{meter.unit}-{meter.replica}",
            resource=Resource.ONLINE_CPU,
            kind=UsageKind.USED,
            quantity=round(spent * 1000 * scenario.model(meter.model).caller.represents),
            basis=Basis.MODELLED,
        )
        for meter, spent in sorted(seconds.items())
        if meter.model in teams and spent > 0
    ]


def _unclaimed(interval: Interval, scenario: Scenario, plan: Plan, seconds: Meters) -> list[Usage]:
    """Measured processor time that no reservation pays for, with the reason. What tables answer is paid by look-up."""
    reserved = {held.model for held in plan.reservations}
    tables = {unit.name for unit in plan.units if unit.serves == "table"}
    declared = {model.name: model for model in scenario.models}
    found = []
    for meter, spent in sorted(seconds.items()):
        if meter.model in reserved or meter.unit in tables or spent <= 0:
            continue
        model, where = declared.get(meter.model), f"{meter.unit}-{meter.replica}"
        reason = f"{where} computed for {meter.model or 'no model that it names'}, which nothing is reserved for"
        found.append(
            _record(
                interval,
                f"unclaimed/{meter.model}/{where}",
                team=model.team if model else "",
                model=meter.model,
                mode=Mode.ONLINE.value,
                unit=where,
                resource=Resource.ONLINE_CPU,
                kind=UsageKind.CONSUMED,
                quantity=round(spent * 1000 * (model.caller.represents if model else 1)),
                basis=Basis.MODELLED if model else Basis.METERED,
                reason=reason,
            )
        )
    return found


def _stored(interval: Interval, scenario: Scenario, releases: Iterable[Release]) -> list[Usage]:
    """Files of what is released, in KiB-seconds; recorded where storage has a price."""
    if scenario.prices.known(Resource.STORAGE, interval.end) is None:
        return []
    return [
        _record(
            interval,
            f"storage/{release.id}",
            team=release.team,
            model=release.model,
            mode="storage",
            unit=release.id,
            resource=Resource.STORAGE,
            kind=UsageKind.CONSUMED,
            quantity=-(-release.size_bytes // 1024) * interval.seconds,
            basis=Basis.METERED,
        )
        for release in releases
    ]


def _features(interval: Interval, scenario: Scenario, views: frozenset[str]) -> list[Usage]:
    return [
        _record(
            interval,
            f"features/{schedule.view}",
            team=PLATFORM_TEAM,
            model="",
            mode="features",
            unit=schedule.view,
            resource=Resource.MATERIALIZE_CPU,
            kind=UsageKind.CONSUMED,
            quantity=schedule.cpu_millicore_seconds,
            basis=Basis.MODELLED,
        )
        for schedule in scenario.features
        if schedule.view in views
    ]


def _lookups(interval: Interval, scenario: Scenario, requests: Counter[str]) -> list[Usage]:
    return [
        _record(
            interval,
            f"lookup/{model.name}",
            team=model.team,
            model=model.name,
            mode=Mode.BATCH.value,
            unit="tables",
            resource=Resource.LOOKUP,
            kind=UsageKind.CONSUMED,
            quantity=requests[model.name] * model.caller.represents,
            basis=Basis.MODELLED,
        )
        for model in scenario.models
        if model.mode is Mode.BATCH and requests[model.name]
    ]


def _platform(interval: Interval, scenario: Scenario) -> Usage:
    return _record(
        interval,
        "platform",
        team=PLATFORM_TEAM,
        model="",
        mode="platform",
        unit="platform",
        resource=Resource.PLATFORM_CPU,
        kind=UsageKind.CONSUMED,
        quantity=scenario.platform_millicores * interval.seconds,
        basis=Basis.MODELLED,
    )


def _record(
    interval: Interval,
    name: str,
    *,
    team: str,
    model: str,
    mode: str,
    unit: str,
    resource: Resource,
    kind: UsageKind,
    quantity: int,
    basis: Basis,
    bought: Bought = ON_DEMAND,
    reason: str = "",
) -> Usage:
    return Usage(
        id=f"{interval.start:%Y-%m-%dT%H:%M:%SZ}/{name}",
        start=interval.start,
        end=interval.end,
        team=team,
        model=model,
        mode=mode,
        unit=unit,
        resource=resource,
        kind=kind,
        quantity=quantity,
        basis=basis,
        purchase=bought[0],
        commitment=bought[1],
        reason=reason,
    )
