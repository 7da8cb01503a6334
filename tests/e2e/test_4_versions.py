"""Versions in traffic: canary, shadow, promotion and rollback while callers keep asking; what can be said of them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from archlab.lab import Lab
from archlab.lab.asking import example
from archlab.lab.work import mlflow_environment, run_job
from archlab.spec.job import Job
from harness import Cli

pytestmark = pytest.mark.lab
MODEL, CHAMPION, CHALLENGER = "missed-connection", "1", "2"
CHANGES = (
    *("set canary 10", "set canary 50", "set canary 100", "set canary 0", "set shadow on", "set canary 25"),
    *("set shadow 50", "set canary 0", "set shadow off", "promote 2", "rollback", "set canary 30", "rollback"),
    *("set shadow on", "set canary 100", "promote 2", "set replicas 3", "rollback", "set canary 10", "set replicas 2"),
    *("set shadow 10", "set canary 0", "set shadow off"),
)


class Answer(NamedTuple):
    """What a caller got."""

    began: float
    ended: float
    status: int
    version: str


@dataclass
class Callers:
    """Ask all the time on connections that stay open, and remember every answer."""

    lab: Lab
    answers: list[Answer] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def asking(self, threads: int = 4) -> Iterator[Callers]:
        body = json.dumps(example(self.lab, MODEL, [])).encode()
        headers = {"Authorization": f"Bearer {self.lab.token()}", "Content-Type": "application/json"}
        workers = [threading.Thread(target=self._ask, args=(body, headers)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        try:
            yield self
        finally:
            self._stop.set()
            for worker in workers:
                worker.join()

    def more(self, count: int) -> None:
        """Wait for that many further answers."""
        wanted, gate = len(self.answers) + count, threading.Event()
        while len(self.answers) < wanted:
            gate.wait(0.01)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    def versions(self, since: float) -> set[str]:
        """Versions that answered requests begun since then."""
        return {answer.version for answer in self.answers if answer.began >= since}

    def _ask(self, body: bytes, headers: dict[str, str]) -> None:
        host, port = self.lab.endpoints.gateway.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                connection.request("POST", f"/v2/models/{MODEL}/infer", body, headers)
                response = connection.getresponse()
                said, status = json.loads(response.read()), response.status
            except (OSError, http.client.HTTPException, ValueError):
                connection.close()
                said, status = {}, 0
            version = said.get("parameters", {}).get("model_version", "")
            self.answers.append(Answer(began, time.monotonic(), status, version))
        connection.close()


@pytest.fixture(scope="module")
def contested(cli: Cli, lab: Lab) -> Iterator[Lab]:
    """A fresh lab whose model has an approved challenger; reset afterwards."""
    cli.ok("reset")
    arguments = ("--variant", "v2-leaky", MODEL)
    environment = mlflow_environment(lab, lab.declared.trainer)
    job = Job(name="register-v2", module="archlab.pipelines.register", args=arguments, env=environment)
    run_job(lab, job, lambda _step, _detail: None)
    cli.ok("approve", MODEL, CHALLENGER)
    cli.ok("promote", MODEL, CHALLENGER, "--alias", "challenger")
    yield lab
    cli.ok("reset")


@pytest.fixture
def settled(cli: Cli, contested: Lab) -> Iterator[Lab]:
    """The champion answers everything before and after."""
    yield contested
    cli.ok("set", MODEL, "canary", "0")
    cli.ok("set", MODEL, "shadow", "off")
    assert {m["model"]: m["version"] for m in cli.json("models")}[MODEL] == CHAMPION


def _change(cli: Cli, change: str) -> str:
    command, *rest = change.split()
    return cli.ok(command, MODEL, *rest)


def _until(condition: Callable[[], object], what: str, within_s: float = 300.0) -> None:
    deadline, gate = time.monotonic() + within_s, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, what
        gate.wait(0.1)


def _side(found: dict[str, Any], version: str, traffic: str) -> dict[str, Any]:
    return next((v for v in found["versions"] if (v["version"], v["traffic"]) == (version, traffic)), {})


def test_more_than_twenty_changes_lose_no_request(cli: Cli, settled: Lab) -> None:
    with Callers(settled).asking() as callers:
        for change in CHANGES:
            _change(cli, change)
            callers.more(40)
    assert len(CHANGES) > 20
    assert set(callers.statuses) == {200}
    assert {answer.version for answer in callers.answers} == {CHAMPION, CHALLENGER}


@pytest.mark.parametrize(
    ("before", "withdraw"),
    [
        (("set canary 50",), "set canary 0"),
        (("set canary 50",), "rollback"),
        (("promote 2",), "rollback"),
    ],
)
def test_after_a_rollback_the_withdrawn_version_answers_no_more(
    cli: Cli, settled: Lab, before: tuple[str, ...], withdraw: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Callers(settled).asking() as callers:
        for change in before:
            _change(cli, change)
        callers.more(100)
        asked = time.monotonic()
        _change(cli, withdraw)
        done = time.monotonic()
        callers.more(200)
    last = max(answer.ended for answer in callers.answers if answer.version == CHALLENGER)
    with capsys.disabled():
        print(f"\n{before[0]}, then {withdraw}: last answer of the withdrawn version after {last - asked:.2f} s")
    assert set(callers.statuses) == {200}
    assert callers.versions(done) == {CHAMPION}


def test_a_shadow_is_compared_and_never_billed_as_an_answer(cli: Cli, settled: Lab) -> None:
    cli.ok("set", MODEL, "shadow", "on")
    since = ("--since", datetime.now(UTC).isoformat())
    cli.ok("clock", "advance", "1d")
    score = {m["model"]: m for m in cli.json("score")["models"]}[MODEL]
    found = cli.json("compare", MODEL, *since)
    assert found["mirrored"]["pairs"] == score["requests"]
    assert found["mirrored"]["subjects"] == score["requests"]
    assert _side(found, CHALLENGER, "shadow")["labelled_subjects"] == found["shadow"]["labelled_subjects"]
    assert 30 < found["shadow"]["labelled_subjects"] <= score["requests"]
    assert found["shadow"]["verdict"] == "worse"
    assert found["mirrored"]["differing"] is not None
    shown = cli.ok("compare", MODEL, *since)
    assert "is worse than version 1" in shown
    cli.ok("set", MODEL, "shadow", "off")
    cli.ok("clock", "advance", "30m")
    assert cli.json("compare", MODEL, *since)["mirrored"]["pairs"] == found["mirrored"]["pairs"]


def test_a_canary_under_load_is_judged_by_flights(cli: Cli, settled: Lab) -> None:
    cli.ok("set", MODEL, "canary", "50")
    assert cli.load("--users", "10", "--run-time", "4s")["failures"] == 0
    found = cli.json("compare", MODEL, "--since", "1m")
    challenger = _side(found, CHALLENGER, "live")
    assert 0 < challenger["subjects"] <= challenger["requests"]
    assert challenger["labelled_subjects"] <= challenger["subjects"]
    assert f"went to version {CHALLENGER}" in found["conclusions"][0]


def test_a_refused_challenger_and_a_killed_replica_cost_no_caller_an_answer(cli: Cli, settled: Lab) -> None:
    """A replica that starts again finds the challenger's file damaged: it refuses it, and copies fail."""
    release = next(r for r in settled.control.get("/releases")["releases"] if r["id"] == f"{MODEL}:{CHALLENGER}")
    blob = settled.folder.releases / release["path"]
    cli.ok("set", MODEL, "shadow", "on")
    began = datetime.now(UTC).isoformat()

    def refused() -> bool:
        return bool(_side(cli.json("compare", MODEL, "--since", began), CHALLENGER, "shadow").get("errors", 0))

    with Callers(settled).asking() as callers, _kept_damaged(blob):
        callers.more(100)
        (victim,) = (r for r in settled.target.observe().replicas if (r.unit, r.index) == ("online", 0))
        assert victim.pid
        os.kill(victim.pid, signal.SIGKILL)
        _until(refused, "copies fail at the replica that refuses the challenger")
        callers.more(300)
    assert set(callers.statuses) == {200}
    assert {answer.version for answer in callers.answers} == {CHAMPION}
    assert "failed" in cli.ok("compare", MODEL)


@contextmanager
def _kept_damaged(path: Path) -> Iterator[None]:
    """Control mends a damaged file as soon as it looks; here it is damaged again at once."""
    done = threading.Event()

    def damage() -> None:
        while not done.wait(0.005):
            path.write_bytes(b"damaged")

    worker = threading.Thread(target=damage)
    worker.start()
    try:
        yield
    finally:
        done.set()
        worker.join()
