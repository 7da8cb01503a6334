"""Two regions to drill on: in each a Postgres and a service that writes into it; links between, a gateway outside.

Everything but the regions stands outside of them: gateway, links, probe and whoever runs the drill.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from archlab.drills import control, front, models
from archlab.drills.control import ControlPlane
from archlab.drills.models import Models
from archlab.drills.region import ARCHIVE, REGIONS, Region, lay_out
from archlab.errors import LabStateError, RefusedError, TargetError, UnavailableError
from archlab.files import write_model
from archlab.recovery import fencing, link, replication, server
from archlab.recovery.backups import Store
from archlab.recovery.shaping import Shape
from archlab.settings import LabFolder
from archlab.spec.drill import Asked, Event, Posture, Replication
from archlab.spec.plan import Progress
from archlab.targets import commands, ports, processes
from archlab.targets.logs import tail

READY_S = 30.0
CANARY = 1 << 62
"""Number of the write by which the platform checks itself; the probe's are small."""
CHECK_S = 1.0
_PAUSE_S = 0.02


@dataclass(slots=True)
class Testbed:
    """Both regions and what is between and outside of them."""

    __test__ = False

    folder: LabFolder
    posture: Posture
    regions: dict[str, Region]
    port: int
    """Of the gateway."""
    engine_port: int = 0
    """Of a policy engine, where a drill has one."""
    models: Models | None = None
    """A model in both regions, where a drill is about one."""
    control: ControlPlane | None = None
    """Registry, control and policy engine outside of both, where a drill is about changes."""
    primary: str = REGIONS[0]
    synchronous: bool = False
    """Whether right now no write counts before the other region has it."""
    events: list[Event] = field(default_factory=list)
    faults: list[Event] = field(default_factory=list)
    prepared: bool = False
    """Whether the backups that a drill asks for are made already: another one would name the drill."""
    paused: bool = False
    """Whether nobody fails over by himself: somebody works on the primary."""
    restored: threading.Event = field(default_factory=threading.Event)
    """Whether somebody has restored the primary to the moment before a mistake."""
    mistake_at: datetime | None = None
    """The database's clock right before somebody deleted something by mistake."""
    ledger: Path = Path()
    """The probe's, while there is one."""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def lay_out(cls, root: Path, posture: Posture) -> Testbed:
        """Names, places and ports; nothing is started.

        Raises:
            UserError: there are no programs of Postgres here.
        """
        folder = LabFolder(root)
        ground = lay_out(folder)
        return cls(folder, posture, ground.regions, ground.gateway_port, ground.engine_port)

    @property
    def archive(self) -> Path:
        """Where the write-ahead log is kept, outside of both regions."""
        return self.folder.root / ARCHIVE

    @property
    def backups(self) -> Store:
        """Base backups, encrypted, beside it."""
        return Store(self.folder.root / "backups", self.folder.root / "backup.key")

    @property
    def base(self) -> str:
        """The gateway's URL: all that the probe knows."""
        return f"http://{ports.ADDRESS}:{self.port}"

    def other(self, name: str) -> Region:
        """The region that is not this one."""
        return next(r for r in self.regions.values() if r.name != name)

    def note(self, name: str, detail: str = "", at: float | None = None) -> Event:
        """Remember that something happened, now or at a moment of the monotonic clock."""
        event = Event(name=name, at=time.monotonic() if at is None else at, detail=detail)
        with self._lock:
            self.events.append(event)
        return event

    def inject(self, name: str, detail: str = "") -> None:
        """Remember a fault; called right before it is done."""
        self.faults.append(self.note(name, detail))

    def up(self, progress: Progress) -> None:
        """Start everything; returns when writes are answered through the gateway and the second region has them all.

        Raises:
            TargetError: something does not start; carries its last log lines.
        """
        self.clear()
        self.folder.root.mkdir(parents=True, mode=0o700)
        self.folder.run.mkdir(mode=0o700, exist_ok=True)
        self.folder.log.mkdir(mode=0o700)
        self.archive.mkdir(mode=0o700)
        first, second = (self.regions[name] for name in REGIONS)
        for region in (first, second):
            self._start_link(region)
        progress("start", f"database {first.name}")
        server.create_password(first.server.password)
        server.create(first.server)
        server.configure(first.server)
        self.start_database(first)
        first.server.ask(_table())
        progress("start", "links between the regions")
        for region in (first, second):
            self._wait_link(region)
        progress("start", f"database {second.name}, a standby")
        replication.ensure_slot(first.server, second.name)
        replication.clone(second.server, second.upstream)
        server.configure(second.server, upstream=second.upstream)
        self.start_database(second)
        self.shape(self.usual)
        self.pair(first)
        progress("start", "services and gateway")
        for region in (first, second):
            self.start_service(region)
        if self.models:
            progress("start", "a model in both regions")
            self.models.release(models.RIGHT)
            for region in (first, second):
                self.start_models(region)
        if self.control:
            progress("start", "registry, control and a policy engine")
            self._start_control(self.control)
        self._start_gateway()
        wait(self.answers, "writes through the gateway", lambda: tail(self.folder.log / "gateway.log", 15))
        if self.models:
            wait(self.predictions_right, "a model's answers", lambda: tail(self.folder.log / "models-east.log", 15))
        if self.control:
            progress("register", f"a version of {self.control.model}, approved and promoted")
            self._register(self.control)

    def down(self) -> None:
        """End everything and delete what is stored. Harmless when nothing runs."""
        for region in self.regions.values():
            server.kill(region.server)
        for name in list(self._running):
            self.end(name)
        self.clear()

    def clear(self) -> None:
        """End what an earlier run left behind, and delete its data."""
        left = processes.marked(self.folder.root, jobs=True)
        fencing.kill([p.pid for p in left])
        shutil.rmtree(self.folder.root, ignore_errors=True)
        shutil.rmtree(self.folder.run, ignore_errors=True)

    @property
    def usual(self) -> Shape:
        """What the links do when nothing is wrong."""
        return Shape(latency_ms=self.posture.latency_ms, bytes_per_s=self.posture.bytes_per_s)

    def shape(self, shape: Shape, *, drop: bool = False) -> None:
        """Tell both links what to do."""
        for region in self.regions.values():
            link.tell(region.control, link.Order(shape=shape, drop=drop))

    def pair(self, primary: Region) -> None:
        """Wait until the other region follows, then let writes wait for it where the posture says so."""
        other = self.other(primary.name)
        replication.wait_streaming(primary.server, [other.name])
        if self.posture.replication is Replication.SYNCHRONOUS:
            self.let_writes_wait(primary, on=True)

    def let_writes_wait(self, primary: Region, *, on: bool) -> None:
        """Switch synchronous replication."""
        other = self.other(primary.name)
        self.synchronous = False  # in between nobody may rely on it
        server.configure(primary.server, synchronous=(other.name,) if on else ())
        server.reload(primary.server)
        if on:
            replication.wait_streaming(primary.server, [other.name], synchronous=True)
            self.synchronous = True

    def start_database(self, region: Region) -> None:
        """Start a region's Postgres as it is configured."""
        server.start(region.server, self.environment(f"database-{region.name}"))

    def start_service(self, region: Region) -> None:
        """Start a region's service, unless it is fenced."""
        fencing.refuse_if_fenced(region.folder)
        region.socket.unlink(missing_ok=True)
        app = ("archlab.drills.service:app", "--uds", str(region.socket), "--no-access-log", "--log-level", "warning")
        place = f"{region.server.sockets}:{region.server.port}"
        self._start(region.service, [sys.executable, "-m", "uvicorn", *app], ARCHLAB_DRILL_DATABASE=place)

    def start_models(self, region: Region) -> None:
        """Start a region's inference server, unless the region is fenced."""
        fencing.refuse_if_fenced(region.folder)
        if self.models:
            socket = self.models.regions[region.name].socket
            socket.unlink(missing_ok=True)
            app = ("archlab_serving.app:app", "--uds", str(socket), "--no-access-log", "--log-level", "warning")
            environment = self.models.environment(region.name)
            self._start(region.inference, [sys.executable, "-m", "uvicorn", *app], **environment)

    def kill(self, region: Region) -> None:
        """Everything in a region dies at once, hung or not."""
        fencing.kill(self.pids(region))
        server.kill(region.server)
        self.end(region.service)
        self.end(region.inference)

    def pids(self, region: Region) -> list[int]:
        """Roots of everything that runs in a region."""
        started = [self._running[name].pid for name in (region.service, region.inference) if name in self._running]
        return [*([region.server.pid] if region.server.pid is not None else []), *started]

    def answers(self) -> bool:
        """The platform's own check: a write and a read through the gateway."""
        try:
            with httpx.Client(base_url=self.base, timeout=CHECK_S) as client:
                put = client.put(f"/writes/{CANARY}").status_code == 201
                return put and client.get(f"/writes/{CANARY}").status_code == 200
        except httpx.HTTPError:
            return False

    def predictions_right(self) -> bool:
        """Whether the model's answers through the gateway are right."""
        return models.right(self.base, CHECK_S)

    def predictions_come(self) -> bool:
        """Whether the model answers through the gateway, whatever it says."""
        return models.comes(self.base, CHECK_S)

    def end(self, name: str) -> None:
        """Kill a process that is not a database, hung or not."""
        if process := self._running.pop(name, None):
            fencing.kill([process.pid])
            process.wait()

    def probe(self, ledger: Path) -> None:
        """Start the probe; `end("probe")` loses nothing, `stop_probe` is the usual way."""
        self.ledger, asked = ledger, self.folder.root / "asked.json"
        change = self.control.change() if self.control else None
        write_model(asked, Asked(questions=models.questions() if self.models else (), change=change))
        self._start("probe", [sys.executable, "-m", "archlab.drills.probe", self.base, str(ledger), str(asked)])

    def start_engine(self) -> None:
        """Start the policy engine; it knows no rules yet."""
        if self.control:
            self.control.started()
            self._start(control.ENGINE, self.control.engine())

    def promotes(self) -> bool:
        """Whether a promotion through the gateway is decided and carried out."""
        try:
            if self.control:
                self.control.promote(self.base)
        except (RefusedError, UnavailableError):
            return False
        return self.control is not None

    def stop_probe(self) -> None:
        """Let the probe finish its ledger."""
        if process := self._running.pop("probe", None):
            process.terminate()
            process.wait(timeout=READY_S)

    def _start_link(self, region: Region) -> None:
        ends = (region.upstream.port, self.other(region.name).server.port)
        self._start(
            f"link-{region.name}",
            [sys.executable, "-m", "archlab.recovery.link", *map(str, ends), str(region.control)],
        )

    def _wait_link(self, region: Region) -> None:
        def up() -> bool:
            try:
                link.tell(region.control)
            except UnavailableError:
                return False
            return True

        wait(up, f"the link of {region.name}", lambda: tail(self.folder.log / f"link-{region.name}.log", 15))

    def _start_gateway(self) -> None:
        sockets = [self.regions[name].socket for name in REGIONS]
        admin = self.folder.socket("envoy-admin")
        serving = [self.models.regions[name].socket for name in REGIONS] if self.models else []
        registry = self.folder.socket(control.REGISTRY) if self.control else None
        config = self.folder.root / "envoy.json"
        self._start("gateway", front.command(config, self.port, admin, sockets, serving, registry))

    def _start_control(self, found: ControlPlane) -> None:
        found.prepare()
        self.start_engine()
        for name, command in ((control.CONTROL, commands.control(found.lab)), (control.REGISTRY, found.registry())):
            self._start(name, command.argv, **command.env)

    def _register(self, found: ControlPlane) -> None:
        """A version that may be promoted, and is."""
        log = self.folder.log / f"{control.REGISTRY}.log"
        wait(found.registry_answers, "the registry", lambda: tail(log, 15), control.START_S)
        found.register(self.base, self.environment(control.CANDIDATE))
        wait(self.promotes, "a promotion", lambda: tail(log, 15))

    def _start(self, name: str, argv: Sequence[str], **env: str) -> None:
        with (self.folder.log / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                argv,
                env={**self.environment(name), **env},
                cwd=self.folder.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
            )

    def environment(self, name: str) -> dict[str, str]:
        """What a process of the testbed inherits; it says whose it is."""
        return processes.environment(os.environ, self.folder.root, name)


def wait(
    condition: Callable[[], bool], what: str, log: Callable[[], tuple[str, ...]], within_s: float = READY_S
) -> None:
    """Return when a condition holds.

    Raises:
        TargetError: not in time; carries the log's end.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TargetError(f"Nothing of {what} after {within_s:g} s.", log_tail=log())
        time.sleep(_PAUSE_S)


_CURRENT: list[Testbed] = []


@contextmanager
def current(testbed: Testbed) -> Iterator[Testbed]:
    """Make it the one that the providers of experiments act on."""
    _CURRENT.append(testbed)
    try:
        yield testbed
    finally:
        _CURRENT.remove(testbed)


def the_testbed() -> Testbed:
    """What the providers act on.

    Raises:
        LabStateError: none is up.
    """
    if not _CURRENT:
        raise LabStateError("There are no regions to drill on.", "Run the experiment with: archlab drill run")
    return _CURRENT[-1]


def _table() -> str:
    from archlab.drills.service import TABLE

    return TABLE
