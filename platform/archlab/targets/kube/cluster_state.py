"""What a cluster has of archlab's: devices on every node and whose they are, policies, watched namespaces. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archlab.spec.devices import DeclaredDevice
from archlab.targets.kube.api import Object
from archlab.targets.kube.helm import Installed

BASIS_LABEL = "archlab.dev/device-basis"
HEALTH_ANNOTATION = "archlab.dev/unhealthy-devices"
DEVICE_PREFIXES = ("nvidia.com/gpu", "nvidia.com/mig-")


@dataclass(frozen=True, slots=True)
class NodeDevices:
    """One resource on one node."""

    node: str
    resource: str
    capacity: int
    allocatable: int
    """Healthy ones."""
    requested: int
    """By pods on the node that have not ended."""
    advertised: str
    """`emulated` by us, by `another` plugin, or `withdrawn`: the kubelet remembers what was."""
    unhealthy: str
    """The node's annotation: names of devices marked unhealthy."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What there is."""

    release: Installed | None
    devices: tuple[NodeDevices, ...]
    waiting: tuple[str, ...]
    """Pods without a node that ask for devices, as `NAMESPACE/POD (RESOURCE)`."""
    policies: tuple[str, ...]
    """Admission policies in force, as `NAME (Deny)`."""
    namespaces: tuple[str, ...]
    """Namespaces that the policies watch."""


def device_values(declared: Sequence[DeclaredDevice]) -> dict[str, Any]:
    """A scenario's devices as values of the cluster chart: every node gets them all."""
    cards = [
        {
            "name": device.name,
            "class": device.device_class,
            "product": device.product,
            "memoryMib": device.memory_mib,
            "slices": [{"profile": s.profile, "memoryMib": s.memory_mib, "count": s.count} for s in device.slices],
        }
        for device in declared
    ]
    return {"devicePlugin": {"devices": cards}}


def node_devices(nodes: Sequence[Object], pods: Sequence[Object], *, installed: bool) -> tuple[NodeDevices, ...]:
    """Every device resource of every node, with what its pods ask for.

    Args:
        nodes: as the API lists them.
        pods: those that have not ended.
        installed: whether archlab's device plugin is.
    """
    taken: Counter[tuple[str, str]] = Counter()
    for pod in pods:
        for resource, count in asked_devices(pod):
            taken[pod["spec"].get("nodeName", ""), resource] += count
    return tuple(row for node in nodes for row in _rows(node, taken, installed))


def waiting_pods(pods: Sequence[Object]) -> tuple[str, ...]:
    """Pods that ask for devices and have no node yet."""
    return tuple(
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']} ({resource})"
        for pod in pods
        if not pod["spec"].get("nodeName")
        for resource, _ in asked_devices(pod)
    )


def policies(bindings: Sequence[Object]) -> tuple[str, ...]:
    """The bindings that watch namespaces, and what each does."""
    watching = [binding for binding in bindings if "matchResources" in binding["spec"]]
    return tuple(sorted(f"{b['metadata']['name']} ({', '.join(b['spec']['validationActions'])})" for b in watching))


def is_device(resource: str) -> bool:
    """Whether an extended resource is a card or a MIG slice."""
    return resource.startswith(DEVICE_PREFIXES)


def asked_devices(pod: Object) -> Iterator[tuple[str, int]]:
    """Device resources that a pod's containers ask for, and how many."""
    for container in pod["spec"].get("containers", ()):
        for resource, count in container.get("resources", {}).get("limits", {}).items():
            if is_device(resource):
                yield resource, int(count)


def _rows(node: Object, taken: Counter[tuple[str, str]], installed: bool) -> list[NodeDevices]:
    metadata, status = node["metadata"], node["status"]
    emulated = installed and metadata.get("labels", {}).get(BASIS_LABEL) == "emulated"
    healthy = {resource: int(count) for resource, count in status["allocatable"].items() if is_device(resource)}
    return [
        NodeDevices(
            node=metadata["name"],
            resource=resource,
            capacity=int(count),
            allocatable=healthy.get(resource, 0),
            requested=taken[metadata["name"], resource],
            advertised="emulated" if emulated else "another" if healthy.get(resource) else "withdrawn",
            unhealthy=metadata.get("annotations", {}).get(HEALTH_ANNOTATION, "") if emulated else "",
        )
        for resource, count in sorted(status["capacity"].items())
        if is_device(resource) and int(count)
    ]
