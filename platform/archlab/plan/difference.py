"""What changes between two plans, in words."""

from __future__ import annotations

from archlab.spec.autoscaling import Signal
from archlab.spec.devices import DevicePlacement
from archlab.spec.plan import Plan, Route, Unit
from archlab.spec.regions import Copying, RegionsPlan


def diff(old: Plan | None, new: Plan) -> tuple[str, ...]:
    """One sentence per change, in the order of the new plan; nothing when both are the same."""
    if old is None:
        return (
            *(f"start {_unit(u)}" for u in new.units),
            *(f"route {r.model} to {_target(r, new)}" for r in new.routes),
            *_devices(old, new),
        )
    return (
        *_units(old, new),
        *_routes(old, new),
        *_limits(old, new),
        *_devices(old, new),
        *_pair(old.regions, new.regions),
    )


def _units(old: Plan, new: Plan) -> list[str]:
    before, after = {u.name: u for u in old.units}, {u.name: u for u in new.units}
    changes = []
    for name, unit in after.items():
        was = before.get(name)
        if was is None:
            changes.append(f"start {_unit(unit)}")
        elif was.replicas != unit.replicas:
            changes.append(f"scale {name} from {was.replicas} to {unit.replicas} replicas")
        changes += _scaling(was, unit)
        same = {"replicas": unit.replicas, "autoscaling": unit.autoscaling}
        if was is not None and was.model_copy(update=same) != unit:
            changes.append(f"restart {name} with another configuration")
    return [*changes, *(f"stop {_unit(u)}" for n, u in before.items() if n not in after)]


def _scaling(was: Unit | None, unit: Unit) -> list[str]:
    wanted = unit.autoscaling
    if was is None or was.autoscaling == wanted:
        return []
    if wanted is None:
        return [f"keep {unit.name} at {unit.replicas} replicas"]
    target = f"{wanted.target_milli} m" if wanted.signal is Signal.CPU else f"{wanted.target_milli / 1000:g}"
    bounds = f"{unit.replicas} to {wanted.max_replicas} replicas"
    return [f"autoscale {unit.name} on {wanted.signal.value}, {bounds}, {target} per pod"]


def _routes(old: Plan, new: Plan) -> list[str]:
    before, after = {r.model: r for r in old.routes}, {r.model: r for r in new.routes}
    changes = []
    for model, route in after.items():
        was = before.get(model)
        if was is None:
            changes.append(f"route {model} to {_target(route, new)}")
        elif was.backends != route.backends:
            changes.append(f"move {model} from {_target(was, old)} to {_target(route, new)}")
        changes += [*_shadow(was, route), *_callers(was, route)]
    return [*changes, *(f"remove the route of {m}" for m in before if m not in after)]


def _shadow(was: Route | None, route: Route) -> list[str]:
    before, after = was.shadow if was else None, route.shadow
    if after is None:
        return [f"stop mirroring {route.model}"] if before else []
    if before and (before.percent, before.version) == (after.percent, after.version):
        return []
    share = "every request" if after.percent == 100 else f"{after.percent} % of the requests"
    return [f"mirror {share} of {route.model} to version {after.version}"]


def _callers(was: Route | None, route: Route) -> list[str]:
    if was is None or was.callers == route.callers:
        return []
    if was.callers is None or route.callers is None:
        return [f"let {', '.join(route.callers) if route.callers is not None else 'every team'} call {route.model}"]
    more, less = set(route.callers) - set(was.callers), set(was.callers) - set(route.callers)
    return [
        *(f"let team {team} call {route.model}" for team in sorted(more)),
        *(f"refuse team {team} at {route.model}" for team in sorted(less)),
    ]


def _limits(old: Plan, new: Plan) -> list[str]:
    return [
        *(
            f"limit team {team} to {rate} requests a second"
            for team, rate in new.limits.items()
            if old.limits.get(team) != rate
        ),
        *(f"lift the limit of team {team}" for team in old.limits if team not in new.limits),
        *_shares(old, new),
    ]


def _shares(old: Plan, new: Plan) -> list[str]:
    before, after = (
        {(pool, team): places for pool, held in plan.shares.items() for team, places in held.items()}
        for plan in (old, new)
    )
    return [
        *(
            f"give team {team} {places} {'place' if places == 1 else 'places'} in each server of {pool}"
            for (pool, team), places in after.items()
            if before.get((pool, team)) != places
        ),
        *(f"let team {team} take any place in {pool}" for pool, team in before if (pool, team) not in after),
    ]


def _devices(old: Plan | None, new: Plan) -> list[str]:
    before, after = _placements(old), _placements(new)
    changes = []
    for key, placed in after.items():
        was, where = before.get(key), f"{_spot(placed)} ({_device(placed, new)})"
        if was is None:
            changes.append(f"reserve {where} for {_replica(placed)}")
        elif (_spot(was), was.basis) != (_spot(placed), placed.basis):
            changes.append(f"move {_replica(placed)} from {_spot(was)} to {where}")
        elif was != placed:
            changes.append(f"reserve {where} for {_replica(placed)} instead of {_mib(was)}")
    return [*changes, *(f"free {_spot(p)}, held by {_replica(p)}" for k, p in before.items() if k not in after)]


def _pair(was: RegionsPlan | None, now: RegionsPlan | None) -> list[str]:
    if was is None or now is None or was == now:
        return []
    changes = [
        *([f"make {now.primary} primary instead of {was.primary}"] if was.primary != now.primary else []),
        *(f"leave {region} out: it is lost" for region in now.lost if region not in was.lost),
        *(f"take {region} in again" for region in was.lost if region not in now.lost),
    ]
    if was.replication != now.replication:
        changes.append(f"replicate the registry's database {now.replication.value} instead of {was.replication.value}")
    if was.archive_every_s != now.archive_every_s:
        changes.append(f"archive its log every {now.archive_every_s} s instead of every {was.archive_every_s} s")
    had = {copying.part: copying for copying in was.copies}
    changes += [f"copy {wanted.part.value} {_pace(wanted)}" for wanted in now.copies if had.get(wanted.part) != wanted]
    for what, before, after in (("the registry", was.registry, now.registry), ("servers", was.servers, now.servers)):
        if before != after:
            changes.append(
                f"count {what} as lost after {after.failures_to_detect} failed checks, {after.check_every_ms} ms apart"
            )
    return changes


def _pace(copying: Copying) -> str:
    if copying.at_once:
        return "to the second region at once"
    where = "into an archive outside both regions" if copying.archived else "to the second region"
    return f"{where} every {copying.every_s} s"


def _placements(plan: Plan | None) -> dict[tuple[str, int], DevicePlacement]:
    held = plan.devices.placements if plan and plan.devices else ()
    return {(p.model, p.replica): p for p in held}


def _spot(placed: DevicePlacement) -> str:
    return placed.slice or placed.device


def _device(placed: DevicePlacement, plan: Plan) -> str:
    """`emulated NVIDIA L4, 512 MiB`."""
    product = plan.devices.device(placed.device).product if plan.devices else ""
    return f"{placed.basis} {product}, {_mib(placed)}"


def _replica(placed: DevicePlacement) -> str:
    return f"replica {placed.replica} of {placed.model}"


def _mib(placed: DevicePlacement) -> str:
    return f"{placed.memory_bytes >> 20:,} MiB"


def _unit(unit: Unit) -> str:
    return f"{unit.name} ({unit.replicas} replicas)" if unit.replicas > 1 else unit.name


def _target(route: Route, plan: Plan) -> str:
    """`online-a × 2`, `tables × 1 (batch)`, `90 % online-a × 2 + 10 % online-a × 2 (version 3)`."""
    shares = []
    for backend in route.backends:
        share = f"{backend.weight} % " if len(route.backends) > 1 else ""
        version = f" (version {backend.version})" if backend.version else ""
        batch = " (batch)" if plan.unit(backend.unit).serves == "table" else ""
        others = "".join(
            f"{', else' if other.priority else ' and'} {other.unit} × {other.replicas}" for other in backend.elsewhere
        )
        shares.append(f"{share}{backend.unit} × {backend.replicas}{others}{version}{batch}")
    return " + ".join(shares)
