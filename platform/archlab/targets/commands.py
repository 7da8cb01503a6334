"""What runs for each replica: the command, its variables, and how its health is asked. See docs/interfaces.md."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from archlab.gateway.configuration import GatewayFiles
from archlab.gateway.program import envoy_program
from archlab.settings import LabFolder
from archlab.spec.plan import Plan, Role, Unit
from archlab.targets import devices

GRACE_S = 10
"""How long a server finishes what it has begun."""
KEEP_ALIVE_S = 75
"""Longer than the gateway keeps idle connections, so that a server never closes one that is about to be used."""
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


@dataclass(frozen=True, slots=True)
class Command:
    """How one replica is started."""

    argv: tuple[str, ...]
    health: Health
    env: Mapping[str, str] = field(default_factory=dict)


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
    """The commands of a real lab."""

    folder: LabFolder

    def __call__(self, unit: Unit, index: int) -> Command:
        """The command of one replica."""
        match unit.role:
            case Role.GATEWAY:
                return gateway(self.folder)
            case Role.REGISTRY:
                from archlab.registry import environment

                socket = self.folder.socket("registry")
                health = Health(socket, ("/mlflow/health", "/health"))
                return Command(
                    _uvicorn("archlab.registry.app:app", socket), health, {**LEAN, **environment(self.folder)}
                )
            case Role.CONTROL:
                socket = self.folder.socket("control")
                return Command(_uvicorn("archlab.control.app:app", socket), Health(socket, ("/healthz",)), LEAN)
            case Role.SERVER:
                return server(self.folder, unit, index)


def gateway(folder: LabFolder) -> Command:
    """Envoy, one worker. Restarts when its bootstrap changes; everything else it takes over while it runs."""
    files = GatewayFiles.of(folder)
    options = ("--concurrency", "1", "--disable-hot-restart", "--file-flush-interval-msec", "1000", "-l", "warning")
    argv = (str(envoy_program()), "-c", str(files.bootstrap), *options)
    bootstrap = files.bootstrap.read_bytes() if files.bootstrap.exists() else b""
    env = {"ARCHLAB_BOOTSTRAP": hashlib.sha256(bootstrap).hexdigest()[:16]}
    return Command(argv, Health(files.admin, ("/ready",)), env)


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
