"""Hours of the airline, batch runs, the gate and grading, on pods."""

from __future__ import annotations

from typing import Any

import pytest

from archlab.lab import Lab
from harness import Cli
from lab_pods import objects


@pytest.fixture(scope="module")
def hours(cli: Cli, lab: Lab) -> Any:
    """Six business hours."""
    before = lab.control.get("/ticks")
    cli.ok("clock", "advance", "6h", timeout_s=400)
    return before


def test_hours_pass_and_every_answer_is_in_time(cli: Cli, lab: Lab, hours: Any) -> None:
    assert len(lab.control.get("/ticks")) == len(hours) + 12
    board = cli.json("score")
    assert sum(row["requests"] for row in board["models"]) > 500
    for row in board["models"]:
        assert row["requests"] == row["on_time"] + row["late"] + row["stale"] + row["missing"]
        assert row["missing"] == 0, row
    assert {m["model"] for m in board["models"] if m["requests"]} >= {"departure-delay", "flight-time"}


def test_the_bill_is_the_same_by_another_way(cli: Cli, lab: Lab, hours: Any) -> None:
    bill = cli.json("cost")
    assert bill["agrees"]
    assert {line["kind"] for line in bill["lines"]} >= {"used", "shared"}
    online = {line["kind"] for line in bill["lines"] if line["mode"] == "online"}
    assert online == {"used", "idle"}, "what pods used is set against what their models reserve"
    assert bill["overflow"] == []


def test_a_batch_run_is_a_job_and_is_recorded(cli: Cli, lab: Lab, hours: Any) -> None:
    shown = cli.ok("batch", "run", "aircraft-reliability")
    (run,) = (r for r in cli.json("batch", "list") if r["model"] == "aircraft-reliability" and r["id"] in shown)
    assert run["business_time"] == cli.json("clock", "show")["now"]
    assert cli.json("predict", "aircraft-reliability")["answer"]["parameters"]["features_as_of"] == run["business_time"]
    assert not objects("jobs"), "a finished job is taken away"


def test_the_gate_refuses_with_its_reasons(cli: Cli, lab: Lab) -> None:
    done = cli.run("promote", "departure-delay", "1", "--user", "caller")
    assert done.returncode == 1
    assert "Error" in done.stderr
    denied = [d for d in cli.json("policy", "decisions") if not d["decision"]["allow"]]
    assert denied
    assert denied[-1]["decision"]["reasons"]
    assert "whole" in cli.ok("policy", "verify")


def test_predictions_are_joined_from_every_pod(cli: Cli, lab: Lab, hours: Any) -> None:
    metrics = lab.control.text("/metrics")
    counted = [line for line in metrics.splitlines() if line.startswith("archlab_version_requests{")]
    assert any('model="departure-delay"' in line for line in counted)
    servers = objects("pods", "--selector", "archlab.dev/unit in (online,bento,lookup)")
    assert metrics.count("archlab_up{") == len(servers)


def test_load_is_judged_against_the_slos(cli: Cli, lab: Lab) -> None:
    assert cli.load("--users", "5", "--run-time", "10s", timeout_s=240)["failures"] == 0
