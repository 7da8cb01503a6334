"""Where the parts of a lab listen: unix sockets in the lab's folder, or hosts that the environment names.

Without these variables everything is a socket, as on one machine. On a cluster pods get:

- `ARCHLAB_CONTROL_AT`, `ARCHLAB_REGISTRY_AT`: `host:port`.
- `ARCHLAB_REPLICAS_AT`: the port of every server; the pods of the service that is called like a unit are its replicas.
"""

from __future__ import annotations

import http.client
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from archlab.errors import RefusedError, UserError
from archlab.incluster import EndpointSlices, Pod, Services
from archlab.settings import LabFolder
from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.plan import Plan, Role, Unit

CONTROL, REGISTRY = "control", "registry"
VARIABLE = "ARCHLAB_{}_AT"
REPLICAS = VARIABLE.format("REPLICAS")
LISTEN = 8080
"""Port of gateway and servers on a cluster; servers speak gRPC on the next one."""


def on_cluster() -> bool:
    """Whether this process is a pod's: replicas come and go by themselves there, and no folder is shared."""
    return bool(os.environ.get(REPLICAS))


@dataclass(frozen=True, slots=True)
class Address:
    """One listener."""

    name: str
    """For messages: `control`, `registry`, `<unit>-<replica>`."""
    path: Path | None = None
    """A unix socket; None when it is a host."""
    host: str = ""
    port: int = 0

    @property
    def base(self) -> str:
        """The base URL; over a socket its host part says only whom it is about."""
        return f"http://{self.host}:{self.port}" if self.path is None else f"http://{self.name}"

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        """A connection that is not open yet."""
        if self.path is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        return UnixConnection(self.path, timeout_s)


class UnixConnection(http.client.HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the socket; OSError when nobody listens."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class Replica:
    """One running server."""

    unit: str
    number: str
    """Its index; on a cluster, where replicas have none, what its pod is called beyond the unit."""
    pool: str
    address: Address

    @property
    def name(self) -> str:
        """`<unit>-<number>`."""
        return f"{self.unit}-{self.number}"


def part(folder: LabFolder, name: str) -> Address:
    """Where `control` or `registry` listens.

    Raises:
        UserError: the environment's word is not `host:port`.
    """
    variable = VARIABLE.format(name.upper())
    if not (named := os.environ.get(variable)):
        return Address(name, folder.socket(name))
    host, _, port = named.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"{variable} is {named!r}; host:port is needed.")
    return Address(name, host=host, port=int(port))


def replicas(folder: LabFolder, plan: Plan) -> list[Replica]:
    """Every server of a plan: those that should be there or, on a cluster, those that are ready.

    Raises:
        UnavailableError: the cluster does not say which.
        RefusedError: it may not say so.
    """
    servers = [unit for unit in plan.units if unit.role is Role.SERVER]
    port = os.environ.get(REPLICAS)
    if not port:
        return [_on_socket(folder, unit, index) for unit in servers for index in range(unit.replicas)]
    found = {team: _ready(team) for team in dict.fromkeys(unit.team for unit in servers)}
    return [_on_host(unit, pod, int(port)) for unit in servers for pod in found[unit.team].get(unit.name, ())]


def _ready(team: str) -> Services:
    """Pods that answer in a team's namespace; none while that is being made or taken away."""
    try:
        return EndpointSlices(team).services()[0]
    except RefusedError:
        if team == PLATFORM_TEAM:
            raise
        return {}


def _on_socket(folder: LabFolder, unit: Unit, index: int) -> Replica:
    name = f"{unit.name}-{index}"
    return Replica(unit.name, str(index), unit.pool, Address(name, folder.socket(name)))


def _on_host(unit: Unit, pod: Pod, port: int) -> Replica:
    number = pod.name.removeprefix(f"{unit.name}-")
    return Replica(unit.name, number, unit.pool, Address(pod.name, host=pod.host, port=port))
