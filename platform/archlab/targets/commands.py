"""What runs for each replica: the command, its variables, and how its health is asked. See docs/interfaces.md."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from archlab.gateway.configuration import GatewayFiles
from archlab.gateway.program import envoy_program
from archlab.recovery.copying.arrivals import FEED, MANIFEST
from archlab.recovery.copying.catalogue import REGISTRY, RELEASES, SNAPSHOTS
from archlab.settings import LabFolder
from archlab.spec.plan import Plan, Role, Unit
from archlab.targets import devices
from archlab.targets.places import Place
from archlab.targets.ports import ADDRESS

GRACE_S = 10
"""How long a server finishes what it has begun."""
KEEP_ALIVE_S = 75
"""Longer than the gateway keeps idle connections, so that a server never closes one that is about to be used."""
CATCH_UP_S = 2
"""How long a region's server waits for an order that control has given: its store brings it."""
HTTP = "httptools"
SHORT_HTTP = "archlab_serving.http_protocol:Protocol"
"""The same, with a short way for inference."""

LEAN = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
"""One thread per library: the lab's processes share few cores."""


@dataclass(frozen=True, slots=True)
class Health:
    """Where a replica tells whether it is ready: any of the paths answers 200 on its unix socket."""

    socket: Path
    paths: tuple[str, ...]
    """None for what speaks no HTTP: it is ready when it takes connections there."""


@dataclass(frozen=True, slots=True)
class Command:
    """How one replica is started."""

    argv: tuple[str, ...]
    health: Health
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    """What asks it to end in order."""


Commands = Callable[[Unit, int], Command]
"""The command of a unit's replica by index."""


@dataclass(frozen=True, slots=True)
class Program:
    """One replica as supervisord knows it."""

    unit: Unit
    index: int
    command: Command

    @property
    def name(self) -> str:
        """`<unit>-<index>`."""
        return f"{self.unit.name}-{self.index}"


def programs(plan: Plan, commands: Commands) -> tuple[Program, ...]:
    """Every replica of a plan."""
    return tuple(Program(u, index, commands(u, index)) for u in plan.units for index in range(u.replicas))


@dataclass(frozen=True, slots=True)
class LocalCommands:
    """The commands of a real lab.

    Args:
        folder: the lab's.
        port: its gateway's; needed where there are regions.
        places: its regions on this machine, if it has any.
    """

    folder: LabFolder
    port: int = 0
    places: Mapping[str, Place] = field(default_factory=dict)

    def __call__(self, unit: Unit, index: int) -> Command:
        """The command of one replica."""
        match unit.role:
            case Role.GATEWAY:
                return gateway(self.folder)
            case Role.REGISTRY:
                return self._registry(unit, index)
            case Role.CONTROL:
                made = control(self.folder)
                # which region's registry is primary the gateway knows
                env = {"ARCHLAB_REGISTRY_AT": f"{ADDRESS}:{self.port}"} if self.places else {}
                return replace(made, env={**made.env, **env})
            case Role.SERVER:
                return self._server(unit, index)
            case Role.DATABASE:
                place = self.places[unit.region]
                return Command(behind_fence(place.folder, ()), Health(place.socket, ()), stop_signal="INT")
            case Role.STORE:
                place = self.places[unit.region]
                argv = (sys.executable, "-m", "archlab.recovery.copying.program", str(place.folder))
                return self._within(unit, Command(argv, Health(place.told, ()), LEAN))
            case Role.LINK:
                return self._link(unit)
            case Role.WATCH:
                health = Health(self.folder.socket(f"{unit.name}-{index}"), ())
                return Command((sys.executable, "-m", "archlab.lab.watching"), health, LEAN)

    def _registry(self, unit: Unit, index: int) -> Command:
        from archlab.registry import regional_environment

        if not unit.region:
            return registry(self.folder)
        place, socket = self.places[unit.region], self.folder.socket(f"{unit.name}-{index}")
        env = regional_environment(self.folder, place.database, place.files / REGISTRY / "artifacts")
        return self._within(unit, _registry(socket, env))

    def _server(self, unit: Unit, index: int) -> Command:
        """An inference server; a region's loads what lies in its region."""
        made = server(self.folder, unit, index)
        if not unit.region:
            return made
        files = self.places[unit.region].files
        env = {
            "ARCHLAB_SERVING_REGION": unit.region,
            "ARCHLAB_SERVING_FEED": str(files / RELEASES / FEED),
            "ARCHLAB_SERVING_SNAPSHOTS": str(files / SNAPSHOTS / MANIFEST),
            "ARCHLAB_SERVING_CATCH_UP_S": str(CATCH_UP_S),
        }
        return self._within(unit, replace(made, env={**made.env, **env}))

    def _within(self, unit: Unit, command: Command) -> Command:
        """Of a region's process: nothing starts behind the region's fence."""
        if not unit.region:
            return command
        return replace(command, argv=behind_fence(self.places[unit.region].folder, command.argv))

    def _link(self, unit: Unit) -> Command:
        own = next(p for p in self.places.values() if unit.name == f"{Role.LINK.value}-{p.name}")
        other = next(p for p in self.places.values() if p is not own)
        ends = (own.upstream.port, other.server.port, own.line, other.store)
        argv = (sys.executable, "-m", "archlab.recovery.link", *map(str, ends), str(own.control))
        return Command(argv, Health(own.control, ()))


def behind_fence(region: Path, argv: Sequence[str]) -> tuple[str, ...]:
    """How a command is started within a region; without one the region's database."""
    return (sys.executable, "-m", "archlab.recovery.starting", str(region), *argv)


def gateway(folder: LabFolder) -> Command:
    """Envoy, one worker. Restarts when its bootstrap changes; everything else it takes over while it runs."""
    files = GatewayFiles.of(folder)
    options = ("--concurrency", "1", "--disable-hot-restart", "--file-flush-interval-msec", "1000", "-l", "warning")
    argv = (str(envoy_program()), "-c", str(files.bootstrap), *options)
    bootstrap = files.bootstrap.read_bytes() if files.bootstrap.exists() else b""
    env = {"ARCHLAB_BOOTSTRAP": hashlib.sha256(bootstrap).hexdigest()[:16]}
    return Command(argv, Health(files.admin, ("/ready",)), env)


def control(folder: LabFolder) -> Command:
    """The control process."""
    socket = folder.socket("control")
    return Command(_uvicorn("archlab.control.app:app", socket), Health(socket, ("/healthz",)), LEAN)


def registry(folder: LabFolder) -> Command:
    """MLflow inside the gate, with a database of its own."""
    from archlab.registry import environment

    return _registry(folder.socket("registry"), environment(folder))


def _registry(socket: Path, env: Mapping[str, str]) -> Command:
    health = Health(socket, ("/mlflow/health", "/health"))
    return Command(_uvicorn("archlab.registry.app:app", socket), health, {**LEAN, **env})


def server(folder: LabFolder, unit: Unit, index: int) -> Command:
    """An inference server: uvicorn, or the same application out of a Bento."""
    socket = folder.socket(f"{unit.name}-{index}")
    bento = unit.runtime == "bento"
    env = {
        **LEAN,
        "ARCHLAB_SERVING_UNIT": unit.name,
        "ARCHLAB_SERVING_REPLICA": str(index),
        "ARCHLAB_SERVING_POOL": unit.pool,
        "ARCHLAB_SERVING_FEED": str(folder.releases / "feed.json"),
        "ARCHLAB_SERVING_SNAPSHOTS": str(folder.snapshots / "current.json"),
        "ARCHLAB_SERVING_PUBLIC_KEY": str(folder.keys / "release.pub.pem"),
        "ARCHLAB_SERVING_TRUSTED_KEYS": str(folder.keys / "trusted.pem"),
        "ARCHLAB_SERVING_PREDICTION_LOG": str(folder.predictions / f"{unit.name}-{index}.jsonl"),
        "ARCHLAB_SERVING_DEVICES": str(devices.path(folder, unit.name, index)),
        "ARCHLAB_SERVING_GRPC": f"unix:{folder.grpc_socket(f'{unit.name}-{index}')}",
        "ARCHLAB_SERVING_THREADS": "1",
        **(_bento(folder) if bento else {}),
    }
    app, http = ("archlab_serving.bento:app", HTTP) if bento else ("archlab_serving.app:app", SHORT_HTTP)
    return Command(_uvicorn(app, socket, http), Health(socket, ("/v2/health/ready",)), env)


def _bento(folder: LabFolder) -> dict[str, str]:
    env = {"BENTOML_HOME": str(folder.root / "bento"), "BENTOML_DO_NOT_TRACK": "True"}
    with suppress(FileNotFoundError):
        env["ARCHLAB_SERVING_BENTO"] = str(json.loads((folder.root / "bento.json").read_text())["tag"])
    return env


def _uvicorn(app: str, socket: Path, http: str = HTTP) -> tuple[str, ...]:
    timeouts = ("--timeout-graceful-shutdown", str(GRACE_S), "--timeout-keep-alive", str(KEEP_ALIVE_S))
    engine = ("--loop", "uvloop", "--http", http, "--no-access-log")
    return (sys.executable, "-m", "uvicorn", app, "--uds", str(socket), *engine, *timeouts)
