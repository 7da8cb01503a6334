"""A real Envoy in front of real small servers."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from archlab import identity
from archlab.gateway.configuration import GatewayFiles, configuration, write
from archlab.gateway.program import envoy_program
from archlab.gateway.rollout import roll_out
from archlab.settings import LabFolder
from archlab.spec.plan import Backend, Plan, Role, Route, Unit
from archlab.spec.scenario import User

MEMBER = User(name="ada", team="operations", roles=("viewer", "developer"))
WAIT_S = 120.0
FLUSH = ("--file-flush-interval-msec", "200")


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {WAIT_S:g} s: {what}")
        pause.wait(0.02)


def make_plan(
    lab: str, routes: dict[str, tuple[Backend, ...]], replicas: int = 2, limits: dict[str, int] | None = None
) -> Plan:
    single = [Unit(name=r.value, role=r, replicas=1) for r in (Role.GATEWAY, Role.REGISTRY, Role.CONTROL)]
    return Plan(
        lab=lab,
        scenario="test",
        seed=1,
        units=(*single, Unit(name="online", role=Role.SERVER, replicas=replicas, pool="online", serves="onnx")),
        routes=tuple(Route(model=m, team="operations", backends=b) for m, b in routes.items()),
        reservations=(),
        limits=limits or {},
    )


def to(replicas: int = 2) -> tuple[Backend, ...]:
    return (Backend(unit="online", replicas=replicas, weight=100),)


@dataclass
class Upstreams:
    """Small servers on the lab's sockets."""

    folder: LabFolder
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        for name in names:
            env = {
                **os.environ,
                "UPSTREAM_NAME": name,
                "UPSTREAM_UNWELL": str(self.unwell(name)),
                "UPSTREAM_MIRRORED": str(self.folder.root / f"{name}.mirrored"),
                "UPSTREAM_GRPC": f"unix:{self.folder.grpc_socket(name)}" if "-" in name else "",
            }
            app = ("--app-dir", str(Path(__file__).parent), "upstream:app", "--uds", str(self.folder.socket(name)))
            quiet = ("--log-level", "warning", "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "5")
            self.running[name] = subprocess.Popen([sys.executable, "-m", "uvicorn", *app, *quiet], env=env)
        for name in names:
            wait_until(partial(listens, self.folder.socket(name)), f"{name} listens")

    def unwell(self, name: str) -> Path:
        return self.folder.root / f"{name}.unwell"

    def mirrored(self) -> list[dict[str, Any]]:
        """Mirrored requests that reached the servers."""
        return [json.loads(line) for p in self.folder.root.glob("*.mirrored") for line in p.read_text().splitlines()]

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        process.wait(timeout=60)

    def stop_all(self) -> None:
        for name in list(self.running):
            self.kill(name)


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


@dataclass
class Gateway:
    """A running Envoy of a lab."""

    folder: LabFolder
    port: int
    upstreams: Upstreams
    process: subprocess.Popen[bytes]
    token: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def roll_out(self, plan: Plan) -> None:
        jwks = (self.folder.keys / "jwks.json").read_text()
        roll_out(configuration(plan, self.folder, self.port, jwks), GatewayFiles.of(self.folder))

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return httpx.get(self.url + path, headers={**self.bearer, **(headers or {})}, timeout=60)

    def raw(self, path: str, *headers: tuple[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and JSON body of a GET sent as it is, without a client that tidies its path."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest("GET", path)
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()


@contextmanager
def running_gateway(root: Path, plan: Callable[[str], Plan], replicas: int = 2) -> Iterator[Gateway]:
    folder = LabFolder(root / "lab")
    for path in (folder.root, folder.log, folder.run):
        path.mkdir(parents=True, mode=0o700)
    identity.create_keys(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    upstreams = Upstreams(folder)
    files = GatewayFiles.of(folder)
    config = configuration(plan(folder.name), folder, port, (folder.keys / "jwks.json").read_text())
    write(config, files)
    upstreams.start("registry", "control", *(f"online-{i}" for i in range(replicas)))
    log = (folder.log / "envoy.log").open("wb")
    process = subprocess.Popen(
        [str(envoy_program()), "-c", str(files.bootstrap), "--concurrency", "1", "--disable-hot-restart", *FLUSH],
        stdout=log,
        stderr=log,
    )
    try:
        roll_out(config, files)
        gateway = Gateway(folder, port, upstreams, process, identity.mint(folder, MEMBER))
        wait_until(lambda: gateway.get("/healthz").status_code == 200, "the gateway answers")
        yield gateway
    finally:
        process.terminate()
        process.wait()
        upstreams.stop_all()
        log.close()
        shutil.rmtree(folder.run, ignore_errors=True)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Shared by tests that leave it as it was."""
    canary = (
        Backend(unit="online", replicas=2, weight=80),
        Backend(unit="online", replicas=2, weight=20, version="7"),
    )
    routes = {"flight-time": to(), "departure-delay": canary, "small": to(1)}
    limits = {"operations": 100_000, "slow": 5}
    with running_gateway(tmp_path_factory.mktemp("g"), lambda lab: make_plan(lab, routes, limits=limits)) as found:
        yield found


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Gateway]:
    """For tests that break or change it."""
    with running_gateway(tmp_path, lambda lab: make_plan(lab, {"flight-time": to()}), replicas=3) as found:
        yield found


@pytest.fixture(name="until")
def _until() -> Callable[[Callable[[], object], str], None]:
    """Waits for a condition."""
    return wait_until


class Load:
    """Asks the gateway all the time, on several connections, and remembers every answer."""

    def __init__(self, gateway: Gateway, path: str, connections: int = 16) -> None:
        self.answers: list[tuple[int, str]] = []
        self._gateway, self._path = gateway, path
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
        """Wait for that many further answers."""
        wanted = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= wanted, f"{count} more answers")

    @property
    def failed(self) -> list[tuple[int, str]]:
        return [answer for answer in self.answers if answer[0] != 200]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._gateway.url, headers=self._gateway.bearer, timeout=60) as client:
            while not self._done.is_set():
                try:
                    answer = client.post(self._path, content=b"{}")
                    self.answers.append((answer.status_code, answer.json().get("name", answer.text)))
                except httpx.HTTPError as error:
                    self.answers.append((0, repr(error)))


@pytest.fixture
def load() -> Callable[[Gateway, str], Load]:
    """Makes a load on a gateway."""
    return Load
