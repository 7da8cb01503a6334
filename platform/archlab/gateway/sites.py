"""Where the gateway listens and finds the parts of a lab: unix sockets on one machine, names on a cluster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from archlab.addresses import LISTEN
from archlab.files import write_atomic
from archlab.gateway.messages import Message, file_source, pipe, seconds, typed
from archlab.settings import LabFolder

HTTP_PORT, GRPC_PORT = LISTEN, LISTEN + 1
PORTS = {"control": 8000, "registry": 5000}
DNS_REFRESH_S = 2.0


class Site(Protocol):
    """What depends on where a lab runs."""

    @property
    def listen(self) -> str:
        """Address that the listener binds to."""

    @property
    def access_log(self) -> Path:
        """Where a line per request goes."""

    def part(self, name: str) -> Message:
        """How a cluster finds `control` or `registry`."""

    def pool(self, unit: str, replicas: int, *, grpc: bool) -> Message:
        """How a cluster finds the first `replicas` of a server unit."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """One machine: every replica has a socket, and the gateway listens on the loopback interface."""

    folder: LabFolder
    listen: str = "127.0.0.1"

    @property
    def access_log(self) -> Path:
        """See `Site`."""
        return self.folder.log / "gateway-access.log"

    def part(self, name: str) -> Message:
        """See `Site`."""
        return _static(name, [pipe(self.folder.socket(name))])

    def pool(self, unit: str, replicas: int, *, grpc: bool) -> Message:
        """See `Site`."""
        socket = self.folder.grpc_socket if grpc else self.folder.socket
        return _static(unit, [pipe(socket(f"{unit}-{index}")) for index in range(replicas)])


@dataclass(frozen=True, slots=True)
class Names:
    """A cluster: control and registry behind their services' names, replicas as an endpoint file lists them.

    Replicas of a pool are alike there, whichever come first: a cluster of any size holds all of them.
    """

    endpoints: Path
    """Folder of the endpoint files, one per unit and protocol; Envoy watches them."""
    access_log: Path
    listen: str = "0.0.0.0"  # noqa: S104 a pod's own interface; network policies decide who reaches it

    def part(self, name: str) -> Message:
        """See `Site`."""
        found = _static(name, [_socket_address(name, PORTS[name])])
        return {**found, "type": "STRICT_DNS", "dns_refresh_rate": seconds(DNS_REFRESH_S)}

    def pool(self, unit: str, replicas: int, *, grpc: bool) -> Message:
        """See `Site`."""
        service = _service(unit, grpc=grpc)
        source = file_source(self.endpoints / f"{service}.json")
        return {
            "type": "EDS",
            "eds_cluster_config": {"eds_config": source, "service_name": service},
            # A pod that stops answers health checks to its end; it gets no new request as soon as it is not listed.
            "ignore_health_on_host_removal": True,
        }

    def write(self, unit: str, hosts: Iterable[str]) -> None:
        """List a unit's replicas, by their addresses; the files are replaced only when something changed."""
        self.endpoints.mkdir(parents=True, exist_ok=True)
        found = sorted(hosts)
        for grpc, port in ((False, HTTP_PORT), (True, GRPC_PORT)):
            service = _service(unit, grpc=grpc)
            assignment = typed("endpoints", **_assignment(service, [_socket_address(host, port) for host in found]))
            text = json.dumps({"version_info": _digest(assignment), "resources": [assignment]}, indent=1)
            path = self.endpoints / f"{service}.json"
            if not path.exists() or path.read_text() != text:
                write_atomic(path, text)


def _service(unit: str, *, grpc: bool) -> str:
    return f"{unit}.grpc" if grpc else unit


def _static(name: str, addresses: list[Message]) -> Message:
    return {"type": "STATIC", "load_assignment": _assignment(name, addresses)}


def _assignment(name: str, addresses: list[Message]) -> Message:
    endpoints = [{"endpoint": {"address": address}} for address in addresses]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}


def _socket_address(host: str, port: int) -> Message:
    return {"socket_address": {"address": host, "port_value": port}}


def _digest(message: Message) -> str:
    return hashlib.sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()[:16]
