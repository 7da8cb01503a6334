"""What a cluster has once: the release of the chart `archlab-cluster`, brought, looked at, taken away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from archlab.errors import ConflictError, RefusedError, TargetError
from archlab.settings import data_root
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Progress
from archlab.targets.kube.api import Api, Object, kubeconfig
from archlab.targets.kube.cluster_state import (
    BASIS_LABEL,
    HEALTH_ANNOTATION,
    ClusterState,
    node_devices,
    policies,
    waiting_pods,
)
from archlab.targets.kube.helm import Installed, Release, installed, merge
from archlab.targets.kube.images import images

RELEASE = "archlab-cluster"
NAMESPACE = "archlab-system"
LAB_LABEL = "archlab.dev/lab"
PART_OF = {"app.kubernetes.io/part-of": "archlab"}
PRIVILEGED = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
"""The plugin mounts the kubelet's folder, which no stricter level allows."""
READY_S = 60
HOPELESS = frozenset(
    {"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CrashLoopBackOff"}
)
"""Reasons of a container that waiting does not mend."""
NEEDED = (
    ("", "namespaces"),
    ("apps", "daemonsets"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("scheduling.k8s.io", "priorityclasses"),
)
"""What has to be created; asked for before anything is."""
_OURS = f"app.kubernetes.io/instance={RELEASE}"
_NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"


class Cluster:
    """One cluster, through helm and its API.

    Args:
        context: the kubeconfig's context; its current one when None.
        namespace: where the release is, or is to be.

    Raises:
        UserError: helm or the client library is missing, or no cluster is named.
    """

    def __init__(self, context: str | None = None, namespace: str = NAMESPACE) -> None:
        self._context = context or ""
        self._wanted = namespace
        self._api = Api(self._place(namespace))

    def install(self, values: Sequence[dict[str, Any]], progress: Progress) -> ClusterState:
        """Bring the release to these values (later ones win) and wait for its devices; again is harmless.

        Raises:
            ConflictError: the release is in another namespace.
            RefusedError: rights are missing; the message names them.
            TargetError: it does not come up; carries what helm or the plugin said last.
        """
        progress("rights", "may this user install it?")
        self._check_rights()
        if (held := self._release()) and held.namespace != self._wanted:
            raise ConflictError(
                f"{RELEASE} is installed in the namespace {held.namespace} already; a cluster has one.",
                f"Change it there: archlab cluster install --namespace {held.namespace}",
            )
        progress("chart", f"{RELEASE} in the namespace {self._wanted}")
        metadata = {"name": self._wanted, "labels": {**PART_OF, **PRIVILEGED}}
        path = f"/api/v1/namespaces/{self._wanted}"
        self._api.apply(path, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        merged: dict[str, Any] = {}
        for more in values:
            merged = merge(merged, more)
        Release(self._place(self._wanted), RELEASE, self._api).upgrade(data_root("helm") / RELEASE, merged)
        progress("plugins", "waiting for every node's")
        self._wait_for_plugins()
        progress("devices", "waiting for the nodes to list them")
        _wait_until(
            lambda: all(d.allocatable or d.unhealthy for d in self.state().devices if d.advertised == "emulated")
        )
        return self.state()

    def state(self) -> ClusterState:
        """What is installed, and the devices on every node, whoever advertises them."""
        release = self._release()
        pods = self._api.items("/api/v1/pods", fieldSelector=_NOT_ENDED)
        bindings = self._api.items(
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", labelSelector=_OURS
        )
        watched = self._api.items("/api/v1/namespaces", labelSelector=LAB_LABEL)
        return ClusterState(
            release=release,
            devices=node_devices(self._nodes(), pods, installed=release is not None),
            waiting=waiting_pods(pods),
            policies=policies(bindings),
            namespaces=tuple(sorted(namespace["metadata"]["name"] for namespace in watched)),
        )

    def remove(self, progress: Progress) -> bool:
        """Take the release and its marks on nodes away; False when there was none.

        The kubelet keeps a resource that went at 0 until it is started anew (kubernetes.io, Device Plugins).
        """
        held = self._release()
        if held is not None:
            progress("chart", f"{RELEASE} in the namespace {held.namespace}")
            api = Api(self._place(held.namespace))
            Release(self._place(held.namespace), RELEASE, api).uninstall()
            _wait_until(lambda: not api.items(api.inside("pods"), labelSelector=_OURS))
            self._delete_namespace(held.namespace)
        progress("nodes", "labels and annotations")
        marks = {"metadata": {"labels": {BASIS_LABEL: None}, "annotations": {HEALTH_ANNOTATION: None}}}
        for node in self._nodes():
            metadata = node["metadata"]
            if {BASIS_LABEL, HEALTH_ANNOTATION} & {*metadata.get("labels", {}), *metadata.get("annotations", {})}:
                self._api.patch(f"/api/v1/nodes/{metadata['name']}", marks)
        return held is not None

    def mark(self, node: str, names: str) -> None:
        """Name a node's unhealthy devices, separated by commas; none makes all healthy.

        Raises:
            NotFoundError: there is no such node.
        """
        self._api.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": {HEALTH_ANNOTATION: names or None}}})

    def _place(self, namespace: str) -> KubePlace:
        image, serving = images()
        return KubePlace(
            kubeconfig=kubeconfig(), context=self._context, namespace=namespace, image=image, serving_image=serving
        )

    def _release(self) -> Installed | None:
        return next(iter(installed(self._place(self._wanted), RELEASE)), None)

    def _nodes(self) -> list[Object]:
        return self._api.items("/api/v1/nodes")

    def _check_rights(self) -> None:
        """Ask the API server itself (kubernetes.io, SelfSubjectAccessReview)."""
        lacking = []
        for group, resource in NEEDED:
            spec = {"resourceAttributes": {"group": group, "resource": resource, "verb": "create"}}
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
            answer = self._api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
            if not answer["status"]["allowed"]:
                lacking.append(resource)
        if lacking:
            raise RefusedError(
                f"The user of this kubeconfig may not create {', '.join(lacking)}.",
                "What a cluster has once is installed by its administrator; labs need no such rights.",
            )

    def _delete_namespace(self, name: str) -> None:
        """Only one that `install` made, and only when no pods of others are in it."""
        path = f"/api/v1/namespaces/{name}"
        labels = self._api.get(path)["metadata"].get("labels", {})
        if PART_OF.items() <= labels.items() and not self._api.items(f"{path}/pods"):
            self._api.delete(path)
            _wait_until(lambda: not self._api.items("/api/v1/namespaces", fieldSelector=f"metadata.name={name}"))

    def _wait_for_plugins(self) -> None:
        if not _wait_until(self._plugins_ready):
            raise TargetError(
                f"The device plugin is not ready on every node after {READY_S} s.",
                f"See why: kubectl -n {self._wanted} describe pods",
                unit="device-plugin",
                log_tail=self._last_words(),
            )

    def _plugins_ready(self) -> bool:
        """Whether every node's pod is ready.

        Raises:
            TargetError: one is in a state that waiting does not mend.
        """
        for pod in self._plugin_pods():
            for container in pod["status"].get("containerStatuses", ()):
                waiting = container["state"].get("waiting", {})
                if waiting.get("reason") in HOPELESS:
                    raise TargetError(
                        f"The device plugin does not start on {pod['spec']['nodeName']}: {waiting['reason']}, "
                        f"image {container['image']}. {waiting.get('message', '')}".strip(),
                        "Bring its image to the nodes (archlab image load), or name another: --image",
                        unit="device-plugin",
                        log_tail=self._last_words(),
                    )
        return all(_is_rolled_out(found) for found in self._daemon_sets())

    def _daemon_sets(self) -> list[Object]:
        return self._api.items(self._api.inside("daemonsets", group="apps/v1"), labelSelector=_OURS)

    def _plugin_pods(self) -> list[Object]:
        selector = f"{_OURS},app.kubernetes.io/component=device-plugin"
        return self._api.items(self._api.inside("pods"), labelSelector=selector)

    def _last_words(self) -> tuple[str, ...]:
        """Of the first plugin that has said anything."""
        for pod in self._plugin_pods():
            if any(container.get("containerID") for container in pod["status"].get("containerStatuses", ())):
                path = self._api.inside("pods", f"{pod['metadata']['name']}/log")
                return tuple(self._api.text(path, tailLines="5").splitlines())
        return ()


def _is_rolled_out(found: Object) -> bool:
    status, wanted = found["status"], found["status"].get("desiredNumberScheduled", 0)
    current: bool = status.get("observedGeneration") == found["metadata"]["generation"]
    return current and bool(status.get("updatedNumberScheduled", 0) == wanted == status.get("numberReady", 0))


def _wait_until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + READY_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True
