"""Load of a lab of the airline: real flights in the scenario's mix, offered at a constant rate (locust).

    archlab load --users 20 --run-time 30s          # judged against the SLOs
    python load.py                                  # only writes the requests ahead and prints where
    locust -f load.py                               # locust's own UI; finds the lab by itself

Open loop: each user offers requests at fixed moments, whether or not earlier ones were answered, and latency counts
from the intended moment. A slow server therefore gets no rest, and its slowness is not left out of the figures
("coordinated omission").

Environment:

    ARCHLAB_LAB            a lab's folder
    ARCHLAB_GATEWAY        base URL
    ARCHLAB_TOKEN_FILE     header file of the lab's one caller
    ARCHLAB_TOKEN_FOLDER   where each team's caller has one, caller-TEAM.header; they ask their team's models then
    ARCHLAB_LOAD_REQUESTS  requests prepared already
    ARCHLAB_LOAD_RATE      requests per second of one user, default 5
    ARCHLAB_LOAD_STARTED   file to make when the first request is due
    ARCHLAB_LOAD_RESULT    where to write exact percentiles as JSON
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, count
from pathlib import Path
from typing import Any, ClassVar

import gevent
from gevent.pool import Pool
from geventhttpclient import HTTPClient
from locust import User, constant, events, task

TIMEOUT_S = 10.0
LIMITED = 429
OUTSTANDING = 2000
"""Requests under way at once, over all users; beyond it arrivals queue, and their wait counts as latency."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is sent: bodies per model, and the mix."""

    names: tuple[str, ...]
    cumulative: tuple[int, ...]
    bodies: dict[str, tuple[bytes, ...]]
    teams: dict[str, str]
    """Who owns each model, and asks it."""

    def pick(self, chance: random.Random) -> tuple[str, bytes]:
        """The next request of the mix."""
        name = chance.choices(self.names, cum_weights=self.cumulative)[0]
        return name, chance.choice(self.bodies[name])


@dataclass(slots=True)
class Record:
    """Exact latencies of one run; locust rounds its own."""

    began: float = 0.0
    """When the first user took its place; 0 before."""
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    limited: Counter[str] = field(default_factory=Counter)
    """Failures that a limit, a share or a quota refused (429), by model."""

    def summary(self, seconds: float) -> dict[str, Any]:
        """Per model and per team: requests, failures with the commonest reasons, percentiles by nearest rank."""
        owned: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self.latencies_ms):
            owned[traffic().teams[name]].append(name)
        return {
            "format": "archlab/load-result/v1",
            "seconds": seconds,
            "models": {name: self.figures([name]) for name in sorted(self.latencies_ms)},
            "teams": {team: self.figures(names) for team, names in sorted(owned.items()) if team},
        }

    def figures(self, names: list[str]) -> dict[str, Any]:
        """Of the requests for these models together."""
        ordered = sorted(value for name in names for value in self.latencies_ms[name])
        errors = sum((self.errors[name] for name in names), Counter[str]())
        return {
            "requests": len(ordered),
            "failures": errors.total(),
            "limited": sum(self.limited[name] for name in names),
            "reasons": dict(errors.most_common(3)),
            **{f"p{p}_ms": ordered[max(0, -(-p * len(ordered) // 100) - 1)] for p in (50, 95, 99)},
        }


RECORD = Record()
FLIGHTS = Pool(OUTSTANDING)
NUMBERS = count()


def lab_folder() -> Path:
    """ARCHLAB_LAB, or `.archlab/ten-models` here or in the nearest parent that has one."""
    if named := os.environ.get("ARCHLAB_LAB"):
        return Path(named)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".archlab" / "ten-models" / "lab.json").exists():
            return folder / ".archlab" / "ten-models"
    raise SystemExit(
        "No lab found from here. Start one with `archlab up ten-models`, or set ARCHLAB_LAB to its folder."
    )


def gateway() -> str:
    """ARCHLAB_GATEWAY, or the address in the lab's lab.json."""
    if named := os.environ.get("ARCHLAB_GATEWAY"):
        return named
    port = json.loads((lab_folder() / "lab.json").read_text())["gateway_port"]
    return f"http://127.0.0.1:{port}"


@cache
def headers(team: str) -> dict[str, str]:
    """The Authorization header of a team's caller, from its file; the lab's one caller's where teams have none."""
    path = Path(os.environ.get("ARCHLAB_TOKEN_FILE") or lab_folder() / "tokens" / "caller.header")
    if team and (folder := os.environ.get("ARCHLAB_TOKEN_FOLDER")):
        path = Path(folder) / f"caller-{team}.header"
    name, _, value = path.read_text().strip().partition(": ")
    return {name: value, "Content-Type": "application/json"}


@cache
def traffic() -> Traffic:
    """Requests and mix: ARCHLAB_LOAD_REQUESTS, or what the helper writes for the lab's present business day."""
    models = json.loads(Path(os.environ.get("ARCHLAB_LOAD_REQUESTS") or _prepared()).read_text())["models"]
    return Traffic(
        names=tuple(m["name"] for m in models),
        cumulative=tuple(accumulate(m["weight"] for m in models)),
        bodies={m["name"]: tuple(b.encode() for b in m["bodies"]) for m in models},
        teams={m["name"]: m.get("team", "") for m in models},
    )


def _prepared() -> str:
    """Path that the helper prints; it runs in a process of its own, since it needs DuckDB and locust does not."""
    helper = [sys.executable, "-m", "archlab_scenarios.airline.traffic"]
    found = subprocess.run(
        helper, env={**os.environ, "ARCHLAB_LAB": str(lab_folder())}, capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise SystemExit(f"The requests could not be prepared: {found.stderr.strip()[-500:]}")
    return found.stdout.strip().splitlines()[-1]


class Caller(User):  # type: ignore[misc]
    """One of the airline's callers: offers requests on a schedule and never waits for an answer."""

    wait_time = constant(0)
    host = gateway()
    shared: ClassVar[dict[str, HTTPClient]] = {}

    def on_start(self) -> None:
        """Take a place in the schedule, so that users do not all ask at the same moment."""
        number = next(NUMBERS)
        self.interval_s = 1 / float(os.environ.get("ARCHLAB_LOAD_RATE", "5"))
        self.chance = random.Random(number)  # noqa: S311
        host = str(self.host)
        if host not in self.shared:
            self.shared[host] = HTTPClient.from_url(
                host, concurrency=256, connection_timeout=TIMEOUT_S, network_timeout=TIMEOUT_S
            )
        self.client = self.shared[host]
        if not RECORD.began:
            RECORD.began = time.perf_counter()
            if path := os.environ.get("ARCHLAB_LOAD_STARTED"):
                Path(path).touch()
        self.due = time.perf_counter() + (number * 0.618034 % 1) * self.interval_s

    @task  # type: ignore[untyped-decorator]
    def keep_schedule(self) -> None:
        """Offer the next request at its moment; a late generator catches up and counts the delay."""
        gevent.sleep(max(0.0, self.due - time.perf_counter()))
        FLIGHTS.spawn(self.ask, *traffic().pick(self.chance), self.due)
        self.due += self.interval_s

    def ask(self, model: str, body: bytes, due: float) -> None:
        """Send one request and record it, timed from when it was due."""
        error: Exception | None = None
        size = 0
        try:
            response = self.client.post(f"/v2/models/{model}/infer", body, headers(traffic().teams[model]))
            content = response.read()
            size = len(content)
            RECORD.limited[model] += response.status_code == LIMITED
            if response.status_code >= 400:
                error = RuntimeError(f"HTTP {response.status_code}: {content[:120].decode(errors='replace')}")
        except gevent.GreenletExit:
            error = TimeoutError(f"no answer within {TIMEOUT_S:.0f} s after the run")
        except Exception as failure:  # noqa: BLE001 - whatever goes wrong is a failed request
            error = failure
        latency_ms = (time.perf_counter() - due) * 1000
        RECORD.latencies_ms[model].append(latency_ms)
        if error is not None:
            RECORD.errors[model][f"{type(error).__name__}: {error}"[:200]] += 1
        self.environment.events.request.fire(
            request_type="infer",
            name=model,
            response_time=latency_ms,
            response_length=size,
            exception=error,
            context={},
        )


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _begin(**_: Any) -> None:
    traffic()
    RECORD.latencies_ms.clear()
    RECORD.errors.clear()
    RECORD.limited.clear()
    RECORD.began = 0.0


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def _finish(**_: Any) -> None:
    """Wait for what is still under way: leaving it out would leave out the slowest."""
    seconds = time.perf_counter() - RECORD.began
    if not FLIGHTS.join(timeout=TIMEOUT_S):
        FLIGHTS.kill()
    if path := os.environ.get("ARCHLAB_LOAD_RESULT"):
        Path(path).write_text(json.dumps(RECORD.summary(seconds)))


if __name__ == "__main__":
    sys.stdout.write(f"{_prepared()}\n")
