"""Changes, kills and batch runs while callers keep asking."""

from __future__ import annotations

import os
import signal

import duckdb
import pytest

from archlab.lab import Lab
from callers import callers, enough
from harness import Cli

pytestmark = pytest.mark.lab


def test_a_killed_replica_loses_no_request_and_comes_back(cli: Cli, lab: Lab) -> None:
    with callers(lab, "departure-delay") as seen:
        enough(seen, 100)
        victim = next(r for r in lab.target.observe().replicas if (r.unit, r.index) == ("online", 0))
        assert victim.pid
        os.kill(victim.pid, signal.SIGKILL)
        enough(seen, 500)
    assert set(seen) == {200}
    cli.ok("up")
    again = next(r for r in lab.target.observe().replicas if (r.unit, r.index) == ("online", 0))
    assert again.pid != victim.pid
    assert again.state == "ready"


def test_a_model_moves_to_batch_and_back_without_a_failed_request(cli: Cli, lab: Lab) -> None:
    with callers(lab, "airport-congestion") as seen:
        enough(seen, 50)
        shown = cli.ok("set", "airport-congestion", "mode", "batch")
        enough(seen, 100)
        assert {m["model"]: m for m in cli.json("models")}["airport-congestion"]["mode"] == "batch"
        cli.ok("up")
        assert {m["model"]: m for m in cli.json("models")}["airport-congestion"]["pool"] == "lookup"
        cli.ok("set", "airport-congestion", "mode", "online")
        enough(seen, 100)
    assert "airport-congestion" in shown
    assert set(seen) == {200}
    assert {m["model"]: m for m in cli.json("models")}["airport-congestion"]["pool"] == "online"


def test_what_keeps_a_team_apart_changes_without_a_failed_request(cli: Cli, lab: Lab) -> None:
    """Into servers of its own, back into a share of the pool, and back to where it was."""
    with callers(lab, "flight-time") as seen:
        enough(seen, 50)
        cli.ok("isolation", "use", "pool", "--team", "network-planning")
        assert {m["model"]: m for m in cli.json("models")}["flight-time"]["pool"] == "network-planning"
        assert {r["unit"] for r in cli.json("status")["replicas"]} > {"network-planning", "online"}
        cli.ok("up")
        enough(seen, 100)
        shown = cli.ok("isolation", "use", "share", "--team", "network-planning")
        assert "give team network-planning" in shown
        enough(seen, 100)
        assert 'archlab_share_places{team="network-planning"' in lab.control.text("/metrics")
        cli.ok("isolation", "use", "limit", "--team", "network-planning")
        enough(seen, 50)
    assert set(seen) == {200}
    assert "network-planning" not in {r["unit"] for r in cli.json("status")["replicas"]}
    held = cli.json("isolation")["held_nanousd_per_30_days"]
    assert held["none"] == held["limit"] == held["share"]


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
    shown = cli.load("--users", "5", "--run-time", "5s")
    assert shown["requests"] > 50
    assert shown["failures"] == 0
