"""Control as the process it is, and ticks to feed it with."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from archlab.identity import PLATFORM, mint
from archlab.settings import LabFolder
from archlab.spec.airline import Answer, Label, Tick, Timeliness
from archlab.spec.money import Basis, Resource, Usage, UsageKind
from archlab.spec.scenario import User
from archlab.targets.commands import LEAN

VIEWER = User(name="eve", team="operations", roles=("viewer",))
START_WITHIN_S = 120.0


class Control:
    """The control process of a lab, started, killed and started again; and an HTTP client of it."""

    def __init__(self, folder: LabFolder) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Control:
        socket = self.folder.socket("control")
        socket.unlink(missing_ok=True)
        command = [sys.executable, "-m", "uvicorn", "archlab.control.app:app", "--uds", str(socket), "--no-access-log"]
        environment = {**os.environ, **LEAN, "ARCHLAB_LAB": str(self.folder.root)}
        with (self.folder.root / "control.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_WITHIN_S
        while not (socket.exists() and self._answers()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
            assert self.process.poll() is None, (self.folder.root / "control.log").read_text()
            assert time.monotonic() < deadline
        return self

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process
        self.process.terminate()
        self.process.wait(60)

    def client(self, user: User | None = PLATFORM) -> httpx.Client:
        headers = {"Authorization": f"Bearer {mint(self.folder, user)}"} if user else {}
        transport = httpx.HTTPTransport(uds=str(self.folder.socket("control")))
        return httpx.Client(transport=transport, base_url="http://control", headers=headers, timeout=60)

    def get(self, path: str) -> Any:
        with self.client() as client:
            return client.get(path).raise_for_status().json()

    def post(self, path: str, body: Any = None) -> Any:
        with self.client() as client:
            if isinstance(body, str):
                return client.post(path, content=body).raise_for_status().json()
            return client.post(path, json=body).raise_for_status().json()

    def _answers(self) -> bool:
        try:
            with self.client(None) as client:
                return client.get("/healthz").status_code == 200
        except httpx.HTTPError:
            return False


def made_tick(start: datetime, *, length: timedelta = timedelta(minutes=30), answers: int = 3) -> Tick:
    """A tick with answers of departure-delay, a label for each, and reserved and used capacity."""
    asked = start + timedelta(minutes=1)
    return Tick(
        start=start,
        end=start + length,
        answers=tuple(
            Answer(
                request_id=f"departure-delay/{start:%d%H%M}-{n}/{asked.isoformat()}",
                model="departure-delay",
                version="1",
                subject=f"{start:%d%H%M}-{n}",
                asked=asked,
                prediction=0.1 + 0.2 * n,
                features_as_of=start,
                latency_ms=5.0 + n,
                timeliness=Timeliness.ON_TIME,
                status=200,
            )
            for n in range(answers)
        ),
        labels=tuple(
            Label(
                model="departure-delay",
                subject=f"{start:%d%H%M}-{n}",
                asked=asked,
                known=start + length,
                actual=float(n % 2),
                baseline=0.5,
            )
            for n in range(answers)
        ),
        usage=(usage(start, "reserved", UsageKind.RESERVED, 900_000), usage(start, "used", UsageKind.USED, 1_234)),
        digest="0" * 64,
    )


def usage(start: datetime, name: str, kind: UsageKind, quantity: int) -> Usage:
    return Usage(
        id=f"{start.isoformat()}/{name}",
        start=start,
        end=start + timedelta(minutes=30),
        team="operations",
        model="departure-delay",
        mode="online",
        unit="online-0",
        resource=Resource.ONLINE_CPU,
        kind=kind,
        quantity=quantity,
        basis=Basis.MODELLED,
    )


START = datetime(2013, 12, 2, 8, tzinfo=UTC)
