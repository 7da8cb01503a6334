"""A gated registry for tests: users, a small control that keeps the decision chain, raw requests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from archlab.identity import Verifier, bearer, mint
from archlab.policy import chain, exceptions, lifecycle, traffic
from archlab.registry import environment
from archlab.settings import LabFolder
from archlab.spec.policy import Decision, DecisionRecord, Query
from archlab.spec.scenario import User
from archlab.spec.traffic import Traffic

START_TIMEOUT_S = 120
BUSINESS_NOW = datetime(2013, 11, 6, 8, tzinfo=UTC)

USERS = {
    "ada": User(name="ada", team="operations", roles=("developer",)),
    "bob": User(name="bob", team="revenue", roles=("developer",)),
    "grace": User(name="grace", team="platform", roles=("viewer", "approver")),
    "solo": User(name="solo", team="operations", roles=("developer", "approver")),
    "ops": User(name="ops", team="platform", roles=("developer", "operator")),
    "trainer": User(name="trainer", team="platform", roles=("trainer",)),
    "viewer": User(name="viewer", team="operations", roles=("viewer",)),
}


@dataclass
class Control:
    """A real HTTP server on control's unix socket: clock, decision chain, reconcile."""

    folder: LabFolder
    records: list[DecisionRecord] = field(default_factory=list)
    reconciled: int = 0
    now: datetime = BUSINESS_NOW
    """What its business clock shows; whoever moves it puts it back."""
    costs: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By team: planned for 30 days and billed in the last 30, in nano-dollars; nothing for other teams."""
    routed: dict[str, dict[str, int]] = field(default_factory=dict)
    """By model: percent of the callers that the plan sends to a version."""
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; returns when it does."""
        routes = [
            Route("/clock", self._clock),
            Route("/decisions", self._decide, methods=["POST"]),
            Route("/exceptions", self._exceptions),
            Route("/lifecycle", self._lifecycle),
            Route("/budgets", self._budget),
            Route("/traffic", self._traffic),
            Route("/releases/reconcile", self._reconcile, methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), uds=str(self.folder.socket("control")), log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_for(lambda: self._server is not None and self._server.started, "control")

    def stop(self) -> None:
        """Close the socket."""
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = True
        self._thread.join(60)
        self.folder.socket("control").unlink(missing_ok=True)

    def last(self, action: str) -> DecisionRecord:
        """The newest record of an action."""
        return next(record for record in reversed(self.records) if record.query.action == action)

    def _is_operator(self, request: Request) -> bool:
        return "operator" in Verifier(self.folder).subject(bearer(dict(request.headers))).roles

    async def _clock(self, _request: Request) -> JSONResponse:
        return JSONResponse({"now": self.now.isoformat(), "started": BUSINESS_NOW.isoformat(), "tick_seconds": 60})

    async def _decide(self, request: Request) -> JSONResponse:
        if not self._is_operator(request):
            return JSONResponse({"error": "operators only"}, 403)
        body = await request.json()
        previous = self.records[-1] if self.records else None
        query, decision = Query.model_validate(body["query"]), Decision.model_validate(body["decision"])
        now = datetime.now(UTC)
        self.records.append(chain.append(previous, query, decision, wall_time=now, business_time=self.now))
        return JSONResponse(self.records[-1].model_dump(mode="json"))

    async def _exceptions(self, request: Request) -> JSONResponse:
        found = exceptions.from_records(self.records)
        model = request.query_params.get("model")
        return JSONResponse([one.model_dump(mode="json") for one in found if model in (None, one.model)])

    async def _lifecycle(self, request: Request) -> JSONResponse:
        found = lifecycle.from_records(self.records)
        model = request.query_params.get("model")
        return JSONResponse([one.model_dump(mode="json") for one in found if model in (None, one.model)])

    async def _traffic(self, request: Request) -> JSONResponse:
        model = request.query_params["model"]
        about = [record for record in self.records if record.query.resource.name == model]
        known = Traffic(
            tenures=tuple(traffic.tenures(about)),
            shares=tuple(traffic.shares(about)),
            routed=self.routed.get(model, {}),
        )
        return JSONResponse(known.model_dump(mode="json"))

    async def _budget(self, request: Request) -> JSONResponse:
        planned, spent = self.costs.get(request.query_params["team"], (0, 0))
        figures = {"planned_nanousd_per_30_days": planned, "spent_nanousd_last_30_days": spent}
        return JSONResponse({"team": request.query_params["team"], **figures})

    async def _reconcile(self, request: Request) -> JSONResponse:
        self.reconciled += self._is_operator(request)
        return JSONResponse({"sequence": self.reconciled, "published": [], "refused": []})


@dataclass(frozen=True)
class Registry:
    """The running registry and everything around it."""

    folder: LabFolder
    url: str
    control: Control
    pid: int
    log: Path

    def token(self, user: str, lifetime_s: int = 3600) -> str:
        """A token of one of USERS."""
        return mint(self.folder, USERS[user], lifetime_s=lifetime_s)

    def call(
        self, user: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """A raw request below the registry's address; status and JSON."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.token(user)}", "Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.url + path, data=content, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, _json(response.read())
        except urllib.error.HTTPError as error:
            return error.code, _json(error.read())


@contextmanager
def running(folder: LabFolder, control: Control, logs: Path, **more: str) -> Iterator[Registry]:
    """`uvicorn archlab.registry.app:app`, on a port of its own; `more` are further variables, which win."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    log = (logs / "registry.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "archlab.registry.app:app", "--fd", str(listener.fileno())],
        env={**os.environ, **environment(folder), **more},
        pass_fds=[listener.fileno()],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    listener.close()
    url = f"http://127.0.0.1:{port}/mlflow"
    try:
        wait_for(lambda: healthy(url) or process.poll() is not None, "the registry")
        assert process.poll() is None, Path(log.name).read_text()
        yield Registry(folder, url, control, process.pid, Path(log.name))
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {"text": content.decode(errors="replace")}
    return found if isinstance(found, dict) else {"value": found}


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = START_TIMEOUT_S) -> None:
    """Poll until a condition holds."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about within {timeout_s} s"
        pause.wait(0.02)


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


GOOD_TAGS = {
    "archlab.metric": "auc",
    "archlab.baseline": "0.65",
    "archlab.data_digest": "d" * 64,
    "archlab.code_version": "0.1.0",
    "archlab.feature_service": "departure_delay",
    "archlab.columns": json.dumps([{"name": "hour", "source": "request"}, {"name": "temp", "source": "weather"}]),
    "archlab.parity_max_abs_diff": "2e-07",
    "archlab.evaluated_at": (BUSINESS_NOW - timedelta(days=2)).isoformat(),
}
