"""Regions on a cluster: a namespace each, and one outside of both with the gateway.

What can be done to a region from outside is in `archlab.drills.host`.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import secrets
import socket
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from archlab.drills import front
from archlab.drills.agent import AGENT_PORT, DATABASE_PORT, SERVICE_PORT
from archlab.drills.host import DRILL, Namespace, PodAgent
from archlab.drills.region import REGIONS
from archlab.drills.remote import RemoteRegion
from archlab.errors import ArchlabError, ConflictError, TargetError
from archlab.recovery.server import USER
from archlab.settings import data_root, home
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Progress
from archlab.targets.kube.api import Api, Object
from archlab.targets.kube.front import address
from archlab.targets.kube.helm import Release
from archlab.targets.kube.namespaces import OURS, SECURITY, until

CHART, SECRET = "archlab-drill", "archlab-drill"
OWNER = "archlab.dev/drill-owner"
UNIT = "app.kubernetes.io/component"
READY_S = 180.0
_PAUSE_S = 0.2


def namespaces(own: str) -> dict[str, str]:
    """Of the regions, by their names."""
    return {name: f"{own}-{name}" for name in REGIONS}


class Cluster:
    """The site of a testbed on a cluster; see `archlab.drills.testbed.Site`.

    Args:
        place: which cluster, image, and the namespace outside of both regions.
    """

    def __init__(self, place: KubePlace) -> None:
        self.place = place
        self._api = Api(place)
        self._release = Release(place, CHART, self._api)
        self._token, self._password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        # of each drill's own: a cluster finds the pods of a Service late when it has just forgotten one of that name
        self._run = secrets.token_hex(3)
        self._base = place.gateway
        self.regions: dict[str, RemoteRegion] = {}
        for name, namespace in namespaces(place.namespace).items():
            agent = PodAgent(self._api, namespace, f"region-{self._run}", self._token)
            self.regions[name] = RemoteRegion(name, agent, Namespace(self._api, namespace, agent))

    @property
    def base(self) -> str:
        """Where the gateway answers; known when it is open."""
        return self._base

    @property
    def _gateway(self) -> str:
        return f"gateway-{self._run}"

    def open(self, progress: Progress) -> None:
        """Namespaces, the chart's release, and agents that answer.

        Raises:
            ConflictError: one of the namespaces is somebody else's.
            TargetError: pods don't get ready, or what was left there does not go away.
        """
        mine = (self.place.namespace, *namespaces(self.place.namespace).values())
        for name in mine:
            self._refuse_others(name)
        if left := [name for name in mine if self._exists(name)]:
            progress("clear", f"what an earlier drill left: {', '.join(left)}")
            self.close()
        progress("start", f"namespaces {', '.join(mine)}")
        self._make_namespace(self.place.namespace)
        addresses = {region: self._make_home(name) for region, name in namespaces(self.place.namespace).items()}
        self._release.upgrade(data_root("helm") / CHART, values(self.place, addresses, self._gateway))
        progress("start", "pods of both regions and of the gateway")
        self._await_ready(mine)
        if not self.place.gateway:
            self._base = address(self._api, self._gateway)

    def close(self) -> None:
        """Delete the namespaces, and with them everything.

        Raises:
            TargetError: one does not go away.
        """
        found = [
            name
            for name in (self.place.namespace, *namespaces(self.place.namespace).values())
            if self._exists(name) and self._is_mine(name)
        ]
        for name in found:
            # at once: nothing of it is needed any more, and Postgres need not end in order
            pods = self._api.inside("pods", namespace=name)
            self._api.delete(f"/api/v1/namespaces/{name}")
            self._api.delete(pods, gracePeriodSeconds="0")
        for name in found:
            gone = partial(self._is_gone, name)
            until(gone, f"namespace {name} does not go away", f"kubectl get all -n {name}")

    def words(self) -> tuple[str, ...]:
        """The end of the gateway's log."""
        return _words(self._api, self.place.namespace, f"{UNIT}=gateway")

    def _await_ready(self, mine: tuple[str, ...]) -> None:
        deadline, waiting = time.monotonic() + READY_S, list(mine)
        while waiting := [name for name in waiting if not self._ready(name)]:
            if time.monotonic() > deadline:
                raise TargetError(
                    f"No pod is ready in {', '.join(waiting)} after {READY_S:g} s: {self._why(waiting[0])}",
                    f"See: kubectl get events -n {waiting[0]}",
                    log_tail=_words(self._api, waiting[0], ""),
                )
            time.sleep(_PAUSE_S)

    def _ready(self, namespace: str) -> bool:
        pods = self._api.items(self._api.inside("pods", namespace=namespace))
        states = [c for pod in pods for c in pod["status"].get("conditions", ())]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in states)

    def _why(self, namespace: str) -> str:
        for pod in self._api.items(self._api.inside("pods", namespace=namespace)):
            for container in pod["status"].get("containerStatuses", ()):
                if waiting := container["state"].get("waiting"):
                    return f"{waiting.get('reason', '')} {waiting.get('message', '')}".strip()
            for condition in pod["status"].get("conditions", ()):
                if condition["status"] != "True" and condition.get("message"):
                    return str(condition["message"])
        return "it was not made"

    def _refuse_others(self, name: str) -> None:
        if self._exists(name) and not self._is_mine(name):
            raise ConflictError(
                f"There is a namespace {name} on this cluster already, and it is not of your drills.",
                f"Take other ones: --namespace NAME. If it is yours: kubectl delete namespace {name}",
            )

    def _is_gone(self, name: str) -> bool:
        return not self._exists(name)

    def _exists(self, name: str) -> bool:
        return self._api.exists(f"/api/v1/namespaces/{name}")

    def _is_mine(self, name: str) -> bool:
        labels = self._api.get(f"/api/v1/namespaces/{name}")["metadata"].get("labels", {})
        return bool(labels.get(DRILL) == self.place.namespace and labels.get(OWNER) == owner())

    def _make_namespace(self, name: str) -> None:
        labels = {"app.kubernetes.io/part-of": "archlab", DRILL: self.place.namespace, OWNER: owner(), **SECURITY}
        metadata: Object = {"name": name, "labels": labels | dict([OURS])}
        self._api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def _make_home(self, namespace: str) -> str:
        """A region's namespace, with what its pod has to know, and an address that stays; that address."""
        self._make_namespace(namespace)
        held = {"token": self._token, "password": f"*:*:*:{USER}:{self._password}\n"}
        data = {key: base64.b64encode(value.encode()).decode() for key, value in held.items()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": data}
        self._api.create(self._api.inside("secrets", namespace=namespace), secret)
        made = self._api.create(self._api.inside("services", namespace=namespace), service(f"region-{self._run}"))
        return str(made["spec"]["clusterIP"])


def owner() -> str:
    """Whose drills these are, as a label: a user of a machine with an archlab home."""
    known = f"{getpass.getuser()}@{socket.gethostname()}:{home()}"
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def service(name: str) -> Object:
    """A region's Service: who is asked is decided by the gateway's checks, not by the pod's readiness. Pure."""
    ports = {"agent": AGENT_PORT, "service": SERVICE_PORT, "database": DATABASE_PORT}
    spec = {
        "publishNotReadyAddresses": True,
        "selector": {"app.kubernetes.io/instance": CHART, UNIT: "region"},
        "ports": [{"name": name, "port": port, "targetPort": name} for name, port in ports.items()],
    }
    metadata = {"name": name, "labels": {"app.kubernetes.io/part-of": "archlab"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def values(place: KubePlace, addresses: Mapping[str, str], gateway: str) -> dict[str, Any]:
    """The chart's values. Pure.

    Args:
        place: image and namespace.
        addresses: of the regions' Services. With names, a gateway whose first question got lost would wait for long.
        gateway: name of the gateway's Service.
    """
    repository, _, tag = place.image.rpartition(":")
    homes = namespaces(place.namespace)
    return {
        "image": {"repository": repository, "tag": tag},
        "regions": {name: {"namespace": homes[name], "address": addresses[name]} for name in REGIONS},
        "gateway": {
            "config": front.elsewhere([addresses[name] for name in REGIONS], SERVICE_PORT),
            "nodePort": place.node_port,
            "service": gateway,
        },
        "ports": {"service": SERVICE_PORT, "database": DATABASE_PORT},
    }


def _words(api: Api, namespace: str, selector: str) -> tuple[str, ...]:
    """The end of the first pod's log."""
    query: Mapping[str, str] = {"labelSelector": selector} if selector else {}
    for pod in api.items(api.inside("pods", namespace=namespace), **query):
        try:
            path = api.inside("pods", f"{pod['metadata']['name']}/log", namespace=namespace)
            return tuple(api.text(path, tailLines="15").splitlines())
        except ArchlabError:
            continue
    return ()
