"""A lab of real small processes under a real supervisord behind a real Envoy."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from archlab import identity
from archlab.settings import LabFolder
from archlab.spec.plan import Backend, Plan, Role, Route, Unit
from archlab.spec.scenario import User
from archlab.targets import processes
from archlab.targets.commands import Command, Health, gateway
from archlab.targets.local import LocalTarget

UPSTREAM = Path(__file__).parent.parent / "gateway"
MEMBER = User(name="ada", team="operations", roles=("viewer",))
WAIT_S = 120.0


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline, pause = time.monotonic() + WAIT_S, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not in {WAIT_S:g} s: {what}"
        pause.wait(0.05)


@dataclass
class SmallCommands:
    """Small servers in the place of registry, control and inference servers; the gateway is the real one."""

    folder: LabFolder
    env: dict[str, str] = field(default_factory=dict)
    """More variables for the servers of a unit: `{"online": "A"}` sets VARIANT=A."""
    instead: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Another command for a unit."""

    def __call__(self, unit: Unit, index: int) -> Command:
        if unit.role is Role.GATEWAY:
            return gateway(self.folder)
        name = f"{unit.name}-{index}" if unit.role is Role.SERVER else unit.name
        path = self.folder.socket(name)
        options = ("--timeout-graceful-shutdown", "5", "--timeout-keep-alive", "75", "--log-level", "warning")
        app = ("-m", "uvicorn", "--app-dir", str(UPSTREAM), "upstream:app", "--uds", str(path), *options)
        argv = self.instead.get(unit.name, (sys.executable, *app))
        grpc = f"unix:{self.folder.grpc_socket(name)}" if unit.role is Role.SERVER else ""
        env = {"UPSTREAM_NAME": name, "UPSTREAM_GRPC": grpc, "VARIANT": self.env.get(unit.name, "")}
        return Command(argv, Health(path, ("/nothing-here", "/v2/health/ready")), env)


@dataclass
class Bench:
    """One target with what tests need around it."""

    folder: LabFolder
    commands: SmallCommands
    target: LocalTarget
    said: list[tuple[str, str]] = field(default_factory=list)

    def apply(self, plan: Plan) -> None:
        self.target.apply(plan, lambda step, detail: self.said.append((step, detail)))

    def pids(self) -> dict[str, int | None]:
        return {f"{r.unit}-{r.index}": r.pid for r in self.target.observe().replicas}

    def get(self, path: str = "/v2/models/m/infer") -> httpx.Response:
        headers = {"authorization": f"Bearer {identity.mint(self.folder, MEMBER)}"}
        return httpx.get(self.target.endpoints().gateway + path, headers=headers, timeout=60)

    def left(self) -> list[str]:
        return [p.name() for p in processes.marked(self.folder.root, jobs=True)]


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_plan(pools: dict[str, int], model_in: str = "online", replicas: int | None = None) -> Plan:
    single = [Unit(name=r.value, role=r, replicas=1) for r in (Role.GATEWAY, Role.REGISTRY, Role.CONTROL)]
    servers = [Unit(name=n, role=Role.SERVER, replicas=c, pool=n, serves="onnx") for n, c in pools.items()]
    backend = Backend(unit=model_in, replicas=replicas or pools[model_in], weight=100)
    route = Route(model="m", team="operations", backends=(backend,))
    return Plan(lab="lab", scenario="test", seed=1, units=(*single, *servers), routes=(route,), reservations=())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    folder = LabFolder(tmp_path / "lab")
    folder.root.mkdir(mode=0o700)
    identity.create_keys(folder)
    commands = SmallCommands(folder)
    made = Bench(folder, commands, LocalTarget(folder, unused_port(), commands))
    try:
        yield made
    finally:
        made.target.destroy()
        shutil.rmtree(folder.run, ignore_errors=True)
    assert made.left() == []


@pytest.fixture
def plan() -> Callable[..., Plan]:
    return make_plan


@pytest.fixture
def until() -> Callable[[Callable[[], object], str], None]:
    return wait_until


class Load:
    """Asks the gateway all the time and remembers every answer."""

    def __init__(self, bench: Bench, connections: int = 3) -> None:
        self.answers: list[tuple[int, str]] = []
        self._url = bench.target.endpoints().gateway
        self._headers = {"authorization": f"Bearer {identity.mint(bench.folder, MEMBER)}"}
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(connections)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int) -> None:
        wanted = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= wanted, f"{count} more answers")

    @property
    def failed(self) -> list[tuple[int, str]]:
        return [answer for answer in self.answers if answer[0] != 200]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=60) as client:
            while not self._done.is_set():
                try:
                    answer = client.post("/v2/models/m/infer", content=b"{}")
                    self.answers.append((answer.status_code, answer.json().get("name", answer.text)))
                except httpx.HTTPError as error:
                    self.answers.append((0, repr(error)))


@pytest.fixture
def load() -> Callable[[Bench], Load]:
    return Load
