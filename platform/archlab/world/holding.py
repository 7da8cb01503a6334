"""What the pods of a cluster hold, beside what a plan places: pods of a unit are all alike there. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from archlab.plan.tenants import ceiling
from archlab.spec.devices import DevicePlacement, DevicePlan
from archlab.spec.plan import Plan, Reservation
from archlab.world.metering import Meter, Meters

_UP = re.compile(r"^archlab_up\{(?P<labels>[^}]*)\}\s", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Pods = Mapping[str, tuple[str, ...]]
"""Names of the ready pods of each unit, in order."""


def ready_pods(exposition: str) -> dict[str, tuple[str, ...]]:
    """Pods of every unit, from the lab's Prometheus text."""
    found: dict[str, set[str]] = {}
    for match in _UP.finditer(exposition):
        labels = dict(_LABEL.findall(match["labels"]))
        found.setdefault(labels["unit"], set()).add(labels["replica"])
    return {unit: tuple(sorted(pods)) for unit, pods in found.items()}


def as_held(plan: Plan, pods: Pods) -> Plan:
    """The plan with as many replicas as there are pods, where these are what holds something.

    - A unit whose replicas follow load: every pod carries all of its models, so each model is reserved in all of them.
    - A unit with devices: every pod holds the devices of the first replica, whether its model wants so many or not.

    Elsewhere the plan's reservations stand. A unit never holds less than it is planned to: a pod that is just being
    replaced is paid for.
    """
    counts = {unit.name: max(unit.replicas, len(pods.get(unit.name, ()))) for unit in plan.units}
    scaled = {unit.name for unit in plan.units if unit.autoscaling}
    return plan.model_copy(
        update={
            "reservations": tuple(_reserved(r, counts[r.unit]) if r.unit in scaled else r for r in plan.reservations),
            "devices": _in_every_pod(plan.devices, counts) if plan.devices else None,
        }
    )


def at_most(plan: Plan) -> Plan:
    """The plan as held when every unit that follows load has as many pods as it may: what has to be paid for then."""
    full = {unit.name: tuple(str(number) for number in range(ceiling(plan, unit))) for unit in plan.units}
    return as_held(plan, full)


def as_replicas(seconds: Meters, plan: Plan, pods: Pods) -> dict[Meter, float]:
    """Processor time by the numbers of reserved replicas instead of by names of pods.

    Use is set against a reservation of the same replica. A model that fewer replicas are reserved for than there are
    pods is answered by all of them: what it uses is spread over its reservations in turn.
    """
    reserved = {held.model: held.replicas for held in plan.reservations if held.part == "model"}
    found: dict[Meter, float] = {}
    for meter, spent in seconds.items():
        names = pods.get(meter.unit, ())
        # a pod that has gone in the meantime has used something too
        place = names.index(meter.replica) if meter.replica in names else 0
        numbered = meter._replace(replica=str(place % max(1, reserved.get(meter.model, 1))))
        found[numbered] = found.get(numbered, 0.0) + spent
    return found


def _reserved(held: Reservation, replicas: int) -> Reservation:
    return held.model_copy(update={"replicas": replicas})


def _in_every_pod(plan: DevicePlan, counts: Mapping[str, int]) -> DevicePlan:
    first = [placed for placed in plan.placements if placed.replica == 0]
    held = [_copy(placed, index) for placed in first for index in range(counts[placed.unit])]
    return plan.model_copy(update={"placements": tuple(held)})


def _copy(placed: DevicePlacement, replica: int) -> DevicePlacement:
    return placed.model_copy(update={"replica": replica})
