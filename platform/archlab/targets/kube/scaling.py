"""Pools whose replicas follow load: what can be scaled, and what HorizontalPodAutoscalers say. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from archlab.errors import UserError
from archlab.plan.tenants import in_words, most_replicas, raised
from archlab.spec.autoscaling import Scaling, ScalingEvent, Signal
from archlab.spec.plan import Plan, Role, Unit
from archlab.targets.kube.observation import cpu_cores
from archlab.targets.kube.pod_devices import requests

Object = dict[str, Any]
GROUP = "autoscaling/v2"
METRICS = "/apis/metrics.k8s.io/v1beta1"
"""Served where metrics-server, or something in its place, is installed."""
EVENTS = "involvedObject.kind=HorizontalPodAutoscaler,reason=SuccessfulRescale"
HPA = "HorizontalPodAutoscaler"
KEPT_EVENTS = 5


def check(before: Plan, after: Plan, measures_cpu: Callable[[], bool]) -> None:
    """Let a plan pass only if a cluster can scale what it wants scaled.

    Args:
        before: the plan in force; what it scales already is not asked again.
        after: the one that is wanted.
        measures_cpu: whether the cluster has the metrics API; asked only when it is needed.

    Raises:
        UserError: it can't; says why, and the next step.
    """
    held, scaled = requests(after), {unit.name for unit in before.units if unit.autoscaling}
    for unit in after.units:
        if unit.autoscaling is None:
            continue
        if unit.name in held:
            raise UserError(
                f"Pods of {unit.name} hold devices: each further one would wait for a card. Nothing was changed.",
                "Take its models off devices first (archlab set MODEL device off), or keep its replicas fixed.",
            )
        most = most_replicas(after, unit)
        if most is not None and most <= unit.replicas:
            raise UserError(
                f"{unit.name} has {unit.replicas} replicas anyway, and the quota of team {unit.team} lets it have no "
                "more: they could never change. Nothing was changed.",
                f"Have an operator raise it: {raised(unit)}, or keep its replicas fixed.",
            )
        if unit.autoscaling.signal is Signal.CPU and unit.name not in scaled and not measures_cpu():
            raise UserError(
                "The cluster measures no pod's processor time: it has no metrics-server. Nothing was changed.",
                f"Install metrics-server, or scale on requests: archlab autoscale {unit.name} concurrency",
            )


def autoscalers(plan: Plan, hpas: Iterable[Object], events: Iterable[Object]) -> list[Scaling]:
    """The HorizontalPodAutoscalers of a plan's units, with their last changes.

    Args:
        plan: the one in force.
        hpas: of the lab's namespace (autoscaling/v2).
        events: `SuccessfulRescale` of the namespace.
    """
    units = {unit.name: unit for unit in plan.units if unit.role is Role.SERVER and unit.autoscaling}
    changes = [_event(event) for event in sorted(events, key=_when)]
    found = [
        _scaling(hpa, tuple(c for c in changes if c.unit == hpa["metadata"]["name"])[-KEPT_EVENTS:])
        for hpa in hpas
        if hpa["metadata"]["name"] in units
    ]
    return [_with_quota(entry, units[entry.unit], most_replicas(plan, units[entry.unit])) for entry in found]


def _with_quota(found: Scaling, unit: Unit, most: int | None) -> Scaling:
    """With the team's quota as the reason, where that is what bounds it."""
    wanted = unit.autoscaling.max_replicas if unit.autoscaling else 0
    if not found.said or most is None or most >= wanted or found.replicas < most:
        return found
    return found.model_copy(update={"said": f"{found.said}; {in_words(unit, most)}"})


def _scaling(hpa: Object, events: tuple[ScalingEvent, ...]) -> Scaling:
    spec, status = hpa["spec"], hpa.get("status", {})
    target = spec["metrics"][0]["containerResource"]["target"]["averageValue"]
    found = [m["containerResource"]["current"] for m in status.get("currentMetrics") or () if "containerResource" in m]
    value = next((current["averageValue"] for current in found if "averageValue" in current), None)
    return Scaling(
        unit=hpa["metadata"]["name"],
        by=HPA,
        signal=Signal.CPU,
        target_milli=_milli(target),
        value_milli=None if value is None else _milli(value),
        replicas=int(status.get("currentReplicas", 0)),
        min_replicas=int(spec.get("minReplicas", 1)),
        max_replicas=int(spec["maxReplicas"]),
        said=_said(status.get("conditions") or ()),
        events=events,
    )


def _said(conditions: Iterable[Object]) -> str:
    """What keeps it from scaling or bounds it; empty when nothing does."""
    by_type = {condition["type"]: condition for condition in conditions}
    for kind, troubled in (("AbleToScale", "False"), ("ScalingActive", "False"), ("ScalingLimited", "True")):
        condition = by_type.get(kind)
        if condition and condition["status"] == troubled:
            return str(condition.get("message", ""))
    return ""


def _event(event: Object) -> ScalingEvent:
    """From `New size: 4; reason: container resource cpu of ... above target`."""
    size, _, why = str(event.get("message", "")).partition("; reason: ")
    digits = "".join(filter(str.isdigit, size))
    return ScalingEvent(
        at=_when(event), unit=event["involvedObject"]["name"], replicas=int(digits or 0), why=why or size
    )


def _when(event: Object) -> Any:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]


def _milli(quantity: str) -> int:
    return round(1000 * cpu_cores(quantity))
