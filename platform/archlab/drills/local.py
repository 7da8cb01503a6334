"""A region on the machine where this runs: its processes, their places and ports."""

from __future__ import annotations

import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx

from archlab.drills.keeping import ARCHIVE, LocalKept
from archlab.drills.region import REGIONS, Strike
from archlab.drills.running import Running
from archlab.drills.waiting import wait
from archlab.errors import UnavailableError
from archlab.recovery import fencing, link, replication, server
from archlab.recovery.archive import archiving
from archlab.recovery.programs import postgres_programs
from archlab.recovery.server import Server, Upstream
from archlab.recovery.shaping import Shape
from archlab.settings import LabFolder
from archlab.targets import ports

PORTS = range(18_400, 32_400, 20)
"""Where a testbed looks for free ports: each somewhere else, so that two that start at once don't take the same."""
ARCHIVE_EVERY_S = 5
LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class LocalRegion(replication.Site):
    """One region here; see `archlab.drills.region.Region`."""

    listens: Path | int
    """Where the service does: a unix socket, or a port of all addresses."""
    other: str
    """Where that link leads: `[HOST:]PORT` of the other region's database."""
    kept: LocalKept
    running: Running

    @property
    def line(self) -> str:
        """The link's name among the processes."""
        return f"link-{self.name}"

    @property
    def service(self) -> str:
        """The service's."""
        return f"service-{self.name}"

    @property
    def inference(self) -> str:
        """The inference server's."""
        return f"models-{self.name}"

    def open_line(self) -> None:
        """Start the link."""
        ends = (str(self.upstream.port), self.other)
        self.running.start(self.line, [sys.executable, "-m", "archlab.recovery.link", *ends, str(self.control)])

    def await_line(self) -> None:
        """Return when the link answers.

        Raises:
            TargetError: it does not in time; carries its log.
        """

        def up() -> bool:
            try:
                link.tell(self.control)
            except UnavailableError:
                return False
            return True

        wait(up, f"the link of {self.name}", lambda: self.words(self.line))

    def shape(self, shape: Shape, *, drop: bool = False) -> None:
        """Tell the link what to do."""
        link.tell(self.control, link.Order(shape=shape, drop=drop))

    def create(self) -> None:
        """An empty database, and a password if there is none yet."""
        server.create_password(self.server.password)
        server.create(self.server)
        server.configure(self.server)

    def copy(self) -> None:
        """A base backup of the other one, over the link."""
        replication.clone(self.server, self.upstream)
        server.configure(self.server, upstream=self.upstream)

    def configure(self, synchronous: Sequence[str] = ()) -> None:
        """Configure the database, and have it read that."""
        server.configure(self.server, synchronous=synchronous)
        server.reload(self.server)

    def start_database(self) -> None:
        """Start the database as it is configured."""
        server.start(self.server, self.running.environment(f"database-{self.name}"))

    def stop_database(self) -> None:
        """End it in order."""
        server.stop(self.server)

    def leave(self) -> str:
        """End it in order; its last checkpoint."""
        return replication.leave(self.server)

    def fence_database(self, reason: str) -> None:
        """A file that keeps it from starting, then SIGKILL."""
        server.fence(self.server, reason)

    def follow_again(self) -> str:
        """Rewind it, or copy it anew."""
        return replication.follow_again(self.server, self.upstream)

    def start_service(self) -> None:
        """Start the service, unless the region is fenced."""
        fencing.refuse_if_fenced(self.folder)
        if isinstance(self.listens, Path):
            self.listens.unlink(missing_ok=True)
            listen: tuple[str, ...] = ("--uds", str(self.listens))
        else:
            listen = ("--host", "0.0.0.0", "--port", str(self.listens))  # noqa: S104 a pod's address is not known before
        app = ("archlab.drills.service:app", *listen, "--no-access-log", "--log-level", "warning")
        place = f"{self.server.sockets}:{self.server.port}"
        self.running.start(self.service, [sys.executable, "-m", "uvicorn", *app], ARCHLAB_DRILL_DATABASE=place)

    def end_service(self) -> None:
        """SIGKILL for the service."""
        self.running.end(self.service)

    def kill(self) -> None:
        """SIGKILL for all that runs in it."""
        fencing.kill(self.pids())
        server.kill(self.server)
        self.running.end(self.service)
        self.running.end(self.inference)

    def fence(self, reason: str) -> None:
        """A file that keeps its processes from starting, then SIGKILL for them."""
        fencing.raise_fence(self.folder, reason)
        self.end_service()
        server.fence(self.server, reason)

    def revive(self) -> None:
        """Nothing is to be done: this machine runs."""

    def lower_fence(self) -> None:
        """Its processes may start."""
        fencing.lower_fence(self.folder)

    def aim(self) -> Strike:
        """At all its processes. They are found now: that takes longer than the kill.

        A region that is dying would go on acknowledging meanwhile.
        """
        doomed = fencing.tree(self.pids())

        def act() -> None:
            fencing.send(doomed, signal.SIGKILL)
            self.kill()

        return Strike("SIGKILL for all its processes; its lines are dead", act)

    def aim_at_database(self) -> Strike:
        """At its database's processes."""
        doomed = fencing.tree([pid] if (pid := self.server.pid) is not None else [])

        def act() -> None:
            fencing.send(doomed, signal.SIGKILL)
            server.kill(self.server)

        return Strike("SIGKILL for all its processes", act)

    def aim_to_hang(self) -> Strike:
        """At all its processes."""
        hung = fencing.tree(self.pids())
        return Strike("SIGSTOP for all its processes", lambda: fencing.send(hung, signal.SIGSTOP))

    def says(self) -> str:
        """Ask the service whether its database takes writes, and whether it has one."""
        here = isinstance(self.listens, Path)
        transport = httpx.HTTPTransport(uds=str(self.listens) if here else None)
        base = "http://region" if here else f"http://{ports.ADDRESS}:{self.listens}"
        try:
            with httpx.Client(transport=transport, base_url=base, timeout=LOOK_S) as client:
                if client.get("/primary").status_code == httpx.codes.OK:
                    return "its database takes writes"
                known = client.get("/writes/0").status_code
        except httpx.HTTPError as error:
            return f"its service does not answer ({type(error).__name__})"
        return "its service answers, its database takes no writes" if known < 500 else "its service has no database"

    def words(self, process: str) -> tuple[str, ...]:
        """The end of a process's log."""
        return self.running.words(process)

    def pids(self) -> list[int]:
        """Roots of everything that runs in it."""
        database = [self.server.pid] if self.server.pid is not None else []
        return [*database, *self.running.pids((self.service, self.inference))]


class Ground(NamedTuple):
    """Where everything of a testbed is."""

    gateway_port: int
    engine_port: int
    """Of a policy engine, where a drill has one."""
    regions: dict[str, LocalRegion]


def lay_out(folder: LabFolder, running: Running) -> Ground:
    """Names, places and ports.

    Raises:
        UserError: there are no programs of Postgres here.
    """
    programs, free = postgres_programs(), _free_ports(6)
    gateway, engine = next(free), next(free)
    settings, password = archiving(folder.root / ARCHIVE, ARCHIVE_EVERY_S), folder.root / "password"
    servers, upstreams = {}, {}
    for name in REGIONS:
        servers[name] = Server(name, folder.root / name, folder.run, next(free), password, programs, settings)
        upstreams[name] = Upstream(next(free), replication.slot_name(name))
    found = {}
    for name, other in zip(REGIONS, reversed(REGIONS), strict=True):
        service, control = folder.socket(f"service-{name}"), folder.socket(f"link-{name}")
        there, kept = str(servers[other].port), LocalKept(servers[name], folder.root, running)
        found[name] = LocalRegion(servers[name], upstreams[name], control, service, there, kept, running)
    return Ground(gateway, engine, found)


def _free_ports(number: int) -> Iterator[int]:
    port = secrets.choice(PORTS)
    for _ in range(number):
        port = ports.free_port(port)
        yield port
        port += 1
