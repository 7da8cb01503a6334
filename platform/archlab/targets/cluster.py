"""What a cluster has once: the release of the chart `archlab-cluster`, and the devices on its nodes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archlab.errors import ConflictError, RefusedError, TargetError
from archlab.spec.devices import DeclaredDevice
from archlab.spec.plan import Progress
from archlab.targets.helm import Helm, Release, chart
from archlab.targets.kubernetes_api import connect, explained

if TYPE_CHECKING:
    from kubernetes.client import V1Node

RELEASE = "archlab-cluster"
NAMESPACE = "archlab-system"
BASIS_LABEL = "archlab.dev/device-basis"
HEALTH_ANNOTATION = "archlab.dev/unhealthy-devices"
LAB_LABEL = "archlab.dev/lab"
DEVICE_PREFIXES = ("nvidia.com/gpu", "nvidia.com/mig-")
READY_S = 60
PRIVILEGED = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
"""The plugin mounts the kubelet's folder, which no stricter level allows."""
NEEDED = (
    ("", "namespaces"),
    ("apps", "daemonsets"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("scheduling.k8s.io", "priorityclasses"),
)
"""What has to be created; asked for before anything is."""


@dataclass(frozen=True, slots=True)
class NodeDevices:
    """One resource on one node."""

    node: str
    resource: str
    capacity: int
    allocatable: int
    """Healthy ones."""
    requested: int
    """By pods that have not ended."""
    advertised: str
    """`emulated` by us, by `another` plugin, or `withdrawn`: the kubelet remembers what was."""
    unhealthy: str
    """The node's annotation: names of devices marked unhealthy."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What there is."""

    release: Release | None
    devices: tuple[NodeDevices, ...]
    policies: tuple[str, ...]
    """Admission policies in force, as `NAME (Deny)`."""
    namespaces: tuple[str, ...]
    """Namespaces that the policies watch."""


def device_values(declared: Sequence[DeclaredDevice]) -> dict[str, Any]:
    """A scenario's devices as values of the chart: every node gets them all."""
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


class Cluster:
    """One cluster, through helm and its API.

    Args:
        context: the kubeconfig's context; its current one when None.

    Raises:
        UserError: helm or the `kubernetes` package is missing, or no cluster is named.
    """

    def __init__(self, context: str | None = None) -> None:
        from kubernetes import client

        api = connect(context)
        self._helm = Helm(context)
        self._core = client.CoreV1Api(api)
        self._apps = client.AppsV1Api(api)
        self._rights = client.AuthorizationV1Api(api)
        self._admission = client.AdmissionregistrationV1Api(api)

    def install(self, namespace: str, values: Sequence[dict[str, Any]], progress: Progress) -> ClusterState:
        """Bring the release to these values and wait until every node's devices are there; again is harmless.

        Raises:
            ConflictError: the release is in another namespace.
            RefusedError: rights are missing; the message names them.
            TargetError: it does not come up; carries what helm or the plugin said last.
        """
        progress("rights", "may this user install it?")
        self._check_rights()
        if (held := self._release()) and held.namespace != namespace:
            raise ConflictError(
                f"{RELEASE} is installed in the namespace {held.namespace} already; a cluster has one.",
                f"Change it there: archlab cluster install --namespace {held.namespace}",
            )
        progress("namespace", namespace)
        self._make_namespace(namespace)
        progress("chart", RELEASE)
        self._helm.upgrade(RELEASE, chart(RELEASE), namespace, values)
        progress("plugins", "waiting for every node's")
        self._wait_for_plugins(namespace)
        progress("devices", "waiting for the nodes to list them")
        _wait_until(
            lambda: all(d.allocatable or d.unhealthy for d in self.state().devices if d.advertised == "emulated")
        )
        return self.state()

    def state(self) -> ClusterState:
        """What is installed, and the devices on every node, whoever advertises them."""
        with explained("Reading nodes, pods and policies"):
            bindings = self._admission.list_validating_admission_policy_binding(label_selector=_OURS).items
            namespaces = self._core.list_namespace(label_selector=LAB_LABEL).items
            release = self._release()
            devices = self._devices(installed=release is not None)
        watching = (binding for binding in bindings if binding.spec.match_resources)
        policies = (f"{b.metadata.name} ({', '.join(b.spec.validation_actions)})" for b in watching)
        names = (namespace.metadata.name for namespace in namespaces)
        return ClusterState(release, devices, tuple(sorted(policies)), tuple(sorted(names)))

    def remove(self, progress: Progress) -> bool:
        """Take the release and its marks on nodes away; False when there was none.

        The kubelet keeps a resource that went at 0 until it is started anew (kubernetes.io, Device Plugins).
        """
        held = self._release()
        if held is not None:
            progress("chart", RELEASE)
            self._helm.uninstall(RELEASE, held.namespace)
            progress("namespace", held.namespace)
            self._delete_namespace(held.namespace)
        progress("nodes", "labels and annotations")
        marks = {"metadata": {"labels": {BASIS_LABEL: None}, "annotations": {HEALTH_ANNOTATION: None}}}
        with explained("Changing nodes"):
            for node in self._core.list_node().items:
                kept = {**(node.metadata.labels or {}), **(node.metadata.annotations or {})}
                if BASIS_LABEL in kept or HEALTH_ANNOTATION in kept:
                    self._core.patch_node(node.metadata.name, marks)
        return held is not None

    def mark(self, node: str, names: str) -> None:
        """Name a node's unhealthy devices, separated by commas; none makes all healthy."""
        with explained("Changing nodes"):
            self._core.patch_node(node, {"metadata": {"annotations": {HEALTH_ANNOTATION: names or None}}})

    def _release(self) -> Release | None:
        return next(iter(self._helm.releases(RELEASE)), None)

    def _check_rights(self) -> None:
        from kubernetes import client

        lacking = []
        with explained("Asking for rights"):
            for group, resource in NEEDED:
                wanted = client.V1ResourceAttributes(group=group, resource=resource, verb="create")
                spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=wanted)
                review = client.V1SelfSubjectAccessReview(spec=spec)
                if not self._rights.create_self_subject_access_review(review).status.allowed:
                    lacking.append(resource)
        if lacking:
            raise RefusedError(
                f"The user of this kubeconfig may not create {', '.join(lacking)}.",
                "What a cluster has once is installed by its administrator; labs need no such rights.",
            )

    def _make_namespace(self, name: str) -> None:
        from kubernetes import client

        labels = {"app.kubernetes.io/part-of": "archlab", **PRIVILEGED}
        with explained("Creating namespaces"):
            listed = self._core.list_namespace(field_selector=f"metadata.name={name}").items
            if listed:
                self._core.patch_namespace(name, {"metadata": {"labels": labels}})
            else:
                self._core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name, labels=labels)))

    def _delete_namespace(self, name: str) -> None:
        """Only what `_make_namespace` made, and only once nothing of others is in it."""
        with explained("Deleting namespaces"):
            chosen = f"metadata.name={name}"
            made = self._core.list_namespace(field_selector=chosen, label_selector="app.kubernetes.io/part-of=archlab")
            pods = self._core.list_namespaced_pod(name).items
            if made.items and all((pod.metadata.labels or {}).get(_INSTANCE) == RELEASE for pod in pods):
                self._core.delete_namespace(name)
                _wait_until(lambda: not self._core.list_namespace(field_selector=chosen).items)

    def _wait_for_plugins(self, namespace: str) -> None:
        def ready() -> bool:
            with explained("Reading daemonsets"):
                sets = self._apps.list_namespaced_daemon_set(namespace, label_selector=_OURS).items
            return all(
                s.status.observed_generation == s.metadata.generation
                and s.status.updated_number_scheduled in (s.status.desired_number_scheduled, None)
                and (s.status.number_ready or 0) == s.status.desired_number_scheduled
                for s in sets
            )

        if not _wait_until(ready):
            raise self._why_not_ready(namespace)

    def _why_not_ready(self, namespace: str) -> TargetError:
        """What the pods that are not ready say."""
        with explained("Reading pods"):
            pods = self._core.list_namespaced_pod(namespace, label_selector=_OURS).items
            for pod in pods:
                for status in pod.status.container_statuses or ():
                    if waiting := status.state.waiting:
                        detail = f"{waiting.reason}: {waiting.message or 'no message'}"
                        return TargetError(
                            f"The device plugin on {pod.spec.node_name} does not start: {detail}",
                            f"Is its image on the node? {status.image}",
                        )
                    if not status.ready:
                        log = self._core.read_namespaced_pod_log(pod.metadata.name, namespace, tail_lines=5)
                        return TargetError(
                            f"The device plugin on {pod.spec.node_name} is not ready after {READY_S} s.",
                            f"Look on: kubectl -n {namespace} logs {pod.metadata.name}",
                            log_tail=tuple(log.splitlines()),
                        )
        return TargetError(f"The device plugin is not ready after {READY_S} s.", f"kubectl -n {namespace} get pods")

    def _devices(self, *, installed: bool) -> tuple[NodeDevices, ...]:
        requested: defaultdict[tuple[str, str], int] = defaultdict(int)
        for pod in self._core.list_pod_for_all_namespaces(field_selector=_NOT_ENDED).items:
            for container in pod.spec.containers:
                limits = (container.resources and container.resources.limits) or {}
                for resource, count in limits.items():
                    requested[pod.spec.node_name, resource] += int(count) if is_device(resource) else 0
        return tuple(row for node in self._core.list_node().items for row in _rows(node, requested, installed))


_INSTANCE = "app.kubernetes.io/instance"
_OURS = f"{_INSTANCE}={RELEASE}"
_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"


def _wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + READY_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def is_device(resource: str) -> bool:
    """Whether an extended resource is a card or a MIG slice."""
    return resource.startswith(DEVICE_PREFIXES)


def _rows(node: V1Node, requested: dict[tuple[str, str], int], installed: bool) -> list[NodeDevices]:
    emulated = installed and (node.metadata.labels or {}).get(BASIS_LABEL) == "emulated"
    healthy = {resource: int(count) for resource, count in node.status.allocatable.items() if is_device(resource)}
    unhealthy = (node.metadata.annotations or {}).get(HEALTH_ANNOTATION, "")
    return [
        NodeDevices(
            node=node.metadata.name,
            resource=resource,
            capacity=int(count),
            allocatable=healthy.get(resource, 0),
            requested=requested[node.metadata.name, resource],
            advertised="emulated" if emulated else "another" if healthy.get(resource) else "withdrawn",
            unhealthy=unhealthy if emulated else "",
        )
        for resource, count in sorted(node.status.capacity.items())
        if is_device(resource) and int(count)
    ]
