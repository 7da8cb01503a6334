"""Why a pod does not come up, from what Kubernetes says of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

Object = dict[str, Any]
NO_IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"}
)
BROKEN = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
NO_ROOM = "Free something, use fewer replicas, or give the cluster a larger node: kubectl describe nodes"
NO_DEVICE = (
    "Who holds devices: archlab cluster status. Take a model off its own (archlab set MODEL device off), or have the "
    "cluster offer more: archlab cluster install --help"
)
NO_QUOTA = "What the team may hold, and who can raise it: archlab quota; its pods and quota: kubectl describe quota"
EXCEEDED = "exceeded quota"
"""Of Kubernetes' message when a ResourceQuota refuses a pod."""
DEATHS = 2
"""A container that ended this often while it was waited for won't come up by itself."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a pod or a deployment from being ready."""

    unit: str
    pod: str
    what: str
    """A sentence's end: `has no image: …`."""
    remedy: str
    container: str = ""
    """Whose log says more; empty: none."""
    lasting: bool = True
    """False: it may go by itself, so it is reported only when it stays."""
    namespace: str = ""
    """Where the pod is."""


def unit_of(entry: Object) -> str:
    """The unit of a pod or deployment."""
    return str(entry["metadata"].get("labels", {}).get("archlab.dev/unit", ""))


def is_ready(pod: Object) -> bool:
    """Whether a pod gets requests."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def pod_trouble(pod: Object) -> Trouble | None:
    """What keeps this pod from starting; None when it is on its way."""
    if pod["metadata"].get("deletionTimestamp"):
        return None
    unit, name, status = unit_of(pod), pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            said = str(condition.get("message", "no node takes it"))
            what = f"is pending: {said}"
            remedy = NO_DEVICE if lacks_device(said) else NO_ROOM
            return Trouble(unit, name, what, remedy, lasting=False)
    if status.get("reason") == "Evicted":
        return Trouble(unit, name, f"was evicted: {status.get('message', '')}", "See: kubectl describe nodes")
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return next((found for c in containers if (found := _container(unit, name, c))), None)


def _container(unit: str, pod: str, container: Object) -> Trouble | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, said, name = waiting.get("reason", ""), str(waiting.get("message", "")), container["name"]
    if reason in NO_IMAGE:
        what = f"has no image {container['image']}: {said or reason}"
        return Trouble(
            unit, pod, what, "Bring it to the cluster: archlab image load --with kind|minikube|'COMMAND {image}'"
        )
    if reason in BROKEN:
        return Trouble(
            unit, pod, f"can't run its container {name}: {said or reason}", f"See: kubectl describe pod {pod}"
        )
    ended = container.get("lastState", {}).get("terminated") or container.get("state", {}).get("terminated") or {}
    crashing = reason == "CrashLoopBackOff" or int(container.get("restartCount", 0)) >= DEATHS
    if not crashing or not ended:
        return None
    return Trouble(unit, pod, f"keeps ending: {_end(name, ended)}", f"See: archlab logs {unit}", name)


def _end(name: str, ended: Object) -> str:
    if ended.get("reason") == "OOMKilled":
        return f"container {name} needs more memory than its limit allows (OOMKilled)"
    return f"container {name} with exit code {ended.get('exitCode')}"


def deployment_trouble(deployment: Object) -> Trouble | None:
    """What keeps a deployment from having its pods at all: a quota, an admission policy."""
    for condition in deployment.get("status", {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            name = deployment["metadata"]["name"]
            said = str(condition.get("message", condition.get("reason", "")))
            remedy = NO_QUOTA if EXCEEDED in said else "See: kubectl describe replicasets"
            return Trouble(unit_of(deployment), name, f"gets no pod: {said}", remedy, lasting=False)
    return None


def is_rolled_out(deployment: Object, least: int | None = None) -> bool:
    """Whether all replicas are of the newest template and ready, and nothing older is left.

    Args:
        deployment: as the API shows it.
        least: ready ones that are enough, where a scaler decides how many there are; a quota may let it have fewer.
    """
    meta, spec, status = deployment["metadata"], deployment["spec"], deployment.get("status", {})
    wanted = spec.get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= meta.get("generation", 1)
    if least is not None:
        current = status.get("updatedReplicas", 0) == status.get("replicas", 0)
        return bool(seen and current and status.get("availableReplicas", 0) >= least)
    counts = (status.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas", "replicas"))
    return seen and all(count == wanted for count in counts)


def waits_for_room(deployment: Object, least: int) -> bool:
    """Whether a deployment that follows load waits for its team's quota, while as many pods as it needs answer."""
    trouble, status = deployment_trouble(deployment), deployment.get("status", {})
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    refused = trouble is not None and EXCEEDED in trouble.what
    return bool(refused and seen and status.get("availableReplicas", 0) >= least)


def lacks_device(said: str) -> bool:
    """Whether the scheduler names a device among what no node has left."""
    return "Insufficient nvidia.com/" in said


def troubles(deployments: Iterable[Object], pods: Iterable[Object]) -> list[Trouble]:
    """Everything that keeps a lab from being ready.

    Who waits for a device, or for room in a quota, is in no trouble while another pod of the unit stops: what that one
    holds is free soon.
    """
    there = list(pods)
    places = {pod["metadata"]["name"]: pod["metadata"].get("namespace", "") for pod in there}
    stopping = {unit_of(pod) for pod in there if pod["metadata"].get("deletionTimestamp")}
    found = [*map(pod_trouble, there), *map(deployment_trouble, deployments)]
    known = [trouble for trouble in found if trouble is not None]
    named = [replace(trouble, namespace=places.get(trouble.pod, "")) for trouble in known]
    return [t for t in named if not (t.unit in stopping and (lacks_device(t.what) or EXCEEDED in t.what))]
