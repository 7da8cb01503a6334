"""Changes, kills and batch runs while callers keep asking."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pytest

from archlab.lab import Lab
from archlab.lab.asking import example
from harness import Cli

pytestmark = pytest.mark.lab


@contextmanager
def _callers(lab: Lab, model: str, threads: int = 4) -> Iterator[Counter[object]]:
    """Keep asking a model; counts answers by HTTP status."""
    body = json.dumps(example(lab, model, [])).encode()
    headers = {"Authorization": f"Bearer {lab.token()}", "Content-Type": "application/json"}
    url = f"{lab.endpoints.gateway}/v2/models/{model}/infer"
    seen: Counter[object] = Counter()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(url, data=body, headers=headers), timeout=10
                ) as answer:
                    seen[answer.status] += 1
            except urllib.error.HTTPError as error:
                seen[error.code] += 1
            except OSError as error:
                seen[repr(error)] += 1

    workers = [threading.Thread(target=ask) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield seen
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def _enough(seen: Counter[object], more: int) -> None:
    wanted = seen.total() + more
    gate = threading.Event()
    while seen.total() < wanted:
        gate.wait(0.01)


def test_a_killed_replica_loses_no_request_and_comes_back(cli: Cli, lab: Lab) -> None:
    with _callers(lab, "departure-delay") as seen:
        _enough(seen, 100)
        victim = next(r for r in lab.target.observe().replicas if (r.unit, r.index) == ("online", 0))
        assert victim.pid
        os.kill(victim.pid, signal.SIGKILL)
        _enough(seen, 500)
    assert set(seen) == {200}
    cli.ok("up")
    again = next(r for r in lab.target.observe().replicas if (r.unit, r.index) == ("online", 0))
    assert again.pid != victim.pid
    assert again.state == "ready"


def test_a_model_moves_to_batch_and_back_without_a_failed_request(cli: Cli, lab: Lab) -> None:
    with _callers(lab, "airport-congestion") as seen:
        _enough(seen, 50)
        shown = cli.ok("set", "airport-congestion", "mode", "batch")
        _enough(seen, 100)
        assert {m["model"]: m for m in cli.json("models")}["airport-congestion"]["mode"] == "batch"
        cli.ok("up")
        assert {m["model"]: m for m in cli.json("models")}["airport-congestion"]["pool"] == "lookup"
        cli.ok("set", "airport-congestion", "mode", "online")
        _enough(seen, 100)
    assert "airport-congestion" in shown
    assert set(seen) == {200}
    assert {m["model"]: m for m in cli.json("models")}["airport-congestion"]["pool"] == "online"


def test_replicas_are_what_the_learner_sets(cli: Cli, lab: Lab) -> None:
    cli.ok("set", "departure-delay", "replicas", "3")
    assert sum(r["unit"] == "online" and r["state"] == "ready" for r in cli.json("status")["replicas"]) == 3
    cli.ok("set", "departure-delay", "replicas", "2")
    assert sum(r["unit"] == "online" and r["state"] == "ready" for r in cli.json("status")["replicas"]) == 2


def test_a_batch_run_leaves_a_file_that_names_version_and_run(cli: Cli, lab: Lab) -> None:
    shown = cli.ok("batch", "run", "aircraft-reliability")
    (run,) = (r for r in cli.json("batch", "list") if r["model"] == "aircraft-reliability" and r["id"] in shown)
    assert run["business_time"] == cli.json("clock", "show")["now"]
    path = lab.folder.root / run["path"]
    rows = duckdb.sql(f"select count(*), min(model_version), min(run_id) from '{path}'").fetchall()
    assert rows == [(run["rows"], "1", run["id"])]


def test_load_is_judged_against_the_slos(cli: Cli, lab: Lab) -> None:
    shown = cli.json("load", "--users", "5", "--run-time", "5s")
    assert shown["requests"] > 50
    assert shown["failures"] == 0
