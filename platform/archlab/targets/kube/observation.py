"""Pods as replicas of units: the same table as for processes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.plan import Observation, Plan, Replica, ReplicaState
from archlab.targets.kube.cluster_state import asked_devices
from archlab.targets.kube.diagnosis import deployment_trouble, is_ready, pod_trouble, unit_of

Object = dict[str, Any]
_UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "k": 10**3, "M": 10**6, "G": 10**9}
_CPU = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def observation(
    plan: Plan | None,
    pods: Iterable[Object],
    metrics: Iterable[Object],
    deployments: Iterable[Object] = (),
    *,
    home: str = "",
) -> Observation:
    """Every pod of the plan's units, and a stopped replica for each that is planned, or refused, and not there.

    Args:
        plan: the last one applied; None when there is none.
        pods: of the lab's namespaces.
        metrics: what metrics-server says of them; empty where it is not installed.
        deployments: they know why pods are not there: a quota, an admission policy.
        home: the namespace of the lab itself; pods elsewhere are shown with theirs.
    """
    usage = {entry["metadata"]["name"]: _usage(entry) for entry in metrics}
    by_unit: dict[str, list[Object]] = {}
    for pod in sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"])):
        by_unit.setdefault(unit_of(pod), []).append(pod)
    teams = {unit.name: unit.team for unit in plan.units} if plan else {}
    planned = {unit.name: unit.replicas for unit in plan.units} if plan else {}
    refused: dict[str, str] = {}
    for entry in deployments:
        if trouble := deployment_trouble(entry):
            refused[trouble.unit] = trouble.what
            planned[trouble.unit] = max(planned.get(trouble.unit, 0), int(entry["spec"].get("replicas", 1)))
    known = [*planned, *(name for name in sorted(by_unit) if name not in planned and not name.startswith("job-"))]
    found: list[Replica] = []
    for unit in known:
        there = by_unit.get(unit, [])
        found += [_replica(unit, index, pod, usage, home) for index, pod in enumerate(there)]
        # what a rollout would start beside all that are there is refused too
        least = len(there) + (unit in refused)
        missing = range(len(there), max(planned.get(unit, 0), least))
        team, why = teams.get(unit, PLATFORM_TEAM), refused.get(unit, "no pod")
        found += [_missing(unit, index, team, why) for index in missing]
    return Observation(replicas=tuple(found))


def _replica(unit: str, index: int, pod: Object, usage: Mapping[str, tuple[float, int]], home: str) -> Replica:
    name, there = pod["metadata"]["name"], pod["metadata"].get("namespace", home)
    shown = name if there == home else f"{there}/{name}"
    cpu_percent, rss_bytes = usage.get(name, (0.0, 0))
    status = pod.get("status", {})
    restarts = sum(int(c.get("restartCount", 0)) for c in status.get("containerStatuses") or ())
    state, why = _state(pod)
    return Replica(
        unit=unit,
        index=index,
        state=state,
        team=str(pod["metadata"].get("labels", {}).get("archlab.dev/team", "platform")),
        pid=None,
        restarts=restarts,
        cpu_percent=round(cpu_percent, 1),
        rss_bytes=rss_bytes,
        detail=" ".join(part for part in (shown, _where(pod), why) if part),
    )


def _where(pod: Object) -> str:
    """The pod's node, and what it holds there."""
    if not (node := pod["spec"].get("nodeName")):
        return ""
    return " ".join([f"on {node}", *(f"with {count} {name}" for name, count in asked_devices(pod))])


def _state(pod: Object) -> tuple[ReplicaState, str]:
    if pod["metadata"].get("deletionTimestamp"):
        return ReplicaState.STOPPED, "stopping"
    if is_ready(pod):
        return ReplicaState.READY, ""
    if trouble := pod_trouble(pod):
        return (ReplicaState.FAILED if trouble.lasting else ReplicaState.STARTING), trouble.what
    return ReplicaState.STARTING, ""


def _missing(unit: str, index: int, team: str, why: str) -> Replica:
    return Replica(
        unit=unit,
        index=index,
        state=ReplicaState.STOPPED,
        team=team,
        pid=None,
        restarts=0,
        cpu_percent=0.0,
        rss_bytes=0,
        detail=why,
    )


def _usage(entry: Object) -> tuple[float, int]:
    """CPU in percent of one core and working set, over the pod's containers."""
    found = [container["usage"] for container in entry["containers"]]
    return 100 * sum(cpu_cores(u["cpu"]) for u in found), sum(memory_bytes(u["memory"]) for u in found)


def cpu_cores(quantity: str) -> float:
    """Cores of a Kubernetes quantity: `2`, `250m`, `1234567n`."""
    number = quantity.rstrip("munk")
    return float(number) * _CPU[quantity[len(number) :]]


def memory_bytes(quantity: str) -> int:
    """Bytes of a Kubernetes quantity: `123456`, `512Mi`, `1G`."""
    number = quantity.rstrip("KMGTikm")
    return int(float(number) * _UNITS[quantity[len(number) :]])
