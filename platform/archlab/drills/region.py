"""The regions of a testbed: what each is called, where its parts are, and on which ports."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from archlab.recovery import replication
from archlab.recovery.archive import archiving
from archlab.recovery.programs import postgres_programs
from archlab.recovery.server import Server, Upstream
from archlab.settings import LabFolder
from archlab.targets import ports

REGIONS = ("east", "west")
PORTS = range(18_400, 32_400, 20)
"""Where a testbed looks for free ports: each somewhere else, so that two that start at once don't take the same."""
ARCHIVE, ARCHIVE_EVERY_S = "archive", 5


@dataclass(frozen=True, slots=True)
class Region(replication.Site):
    """One region: a database, and the service in front of it."""

    socket: Path
    """The service's."""

    @property
    def service(self) -> str:
        """The service's name among the processes."""
        return f"service-{self.name}"

    @property
    def inference(self) -> str:
        """The inference server's."""
        return f"models-{self.name}"


class Ground(NamedTuple):
    """Where everything of a testbed is."""

    gateway_port: int
    engine_port: int
    """Of a policy engine, where a drill has one."""
    regions: dict[str, Region]


def lay_out(folder: LabFolder) -> Ground:
    """Names, places and ports.

    Raises:
        UserError: there are no programs of Postgres here.
    """
    programs, free = postgres_programs(), _free_ports(6)
    gateway, engine, found = next(free), next(free), {}
    settings = archiving(folder.root / ARCHIVE, ARCHIVE_EVERY_S)
    for name in REGIONS:
        own, password = folder.root / name, folder.root / "password"
        made = Server(name, own, folder.run, next(free), password, programs, settings)
        upstream = Upstream(next(free), replication.slot_name(name))
        found[name] = Region(made, upstream, folder.socket(f"link-{name}"), folder.socket(f"service-{name}"))
    return Ground(gateway, engine, found)


def _free_ports(number: int) -> Iterator[int]:
    port = secrets.choice(PORTS)
    for _ in range(number):
        port = ports.free_port(port)
        yield port
        port += 1
