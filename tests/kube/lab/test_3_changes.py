"""Day 2: replicas, modes, versions and images change while callers keep asking."""

from __future__ import annotations

import threading
import time

import pytest

from archlab.errors import ArchlabError
from archlab.lab import Lab
from callers import callers, enough
from harness import Cli
from lab_pods import kubectl, objects


def _pods(unit: str) -> set[str]:
    return {str(pod["metadata"]["uid"]) for pod in objects("pods", "--selector", f"archlab.dev/unit={unit}")}


def test_replicas_are_what_the_learner_sets_without_a_failed_request(cli: Cli, lab: Lab) -> None:
    with callers(lab, "departure-delay") as seen:
        enough(seen, 100)
        cli.ok("set", "departure-delay", "replicas", "3")
        assert sum(r["unit"] == "online" and r["state"] == "ready" for r in cli.json("status")["replicas"]) == 3
        enough(seen, 200)
        cli.ok("set", "departure-delay", "replicas", "2")
        enough(seen, 200)
    assert set(seen) == {200}, seen


def test_a_model_moves_to_batch_and_back_without_a_failed_request(cli: Cli, lab: Lab) -> None:
    with callers(lab, "airport-congestion") as seen:
        enough(seen, 50)
        cli.ok("set", "airport-congestion", "mode", "batch", timeout_s=300)
        enough(seen, 100)
        assert {m["model"]: m for m in cli.json("models")}["airport-congestion"]["pool"] == "lookup"
        cli.ok("set", "airport-congestion", "mode", "online", timeout_s=300)
        enough(seen, 100)
    assert set(seen) == {200}, seen
    assert {m["model"]: m for m in cli.json("models")}["airport-congestion"]["pool"] == "online"


@pytest.mark.parametrize("unit", ["online", "bento"])
def test_a_rollout_loses_no_request(lab: Lab, unit: str) -> None:
    """Every pod of the pool is replaced, one replica or two."""
    model = {"online": "flight-time", "bento": "cancellation-risk"}[unit]
    before = _pods(unit)
    with callers(lab, model) as seen:
        enough(seen, 100)
        kubectl("rollout", "restart", f"deployment/{unit}")
        kubectl("rollout", "status", f"deployment/{unit}", "--timeout=150s")
        enough(seen, 300)
    assert not before & _ready(unit)
    assert set(seen) == {200}, seen


def _ready(unit: str) -> set[str]:
    pods = objects("pods", "--selector", f"archlab.dev/unit={unit}")
    return {str(pod["metadata"]["uid"]) for pod in pods if not pod["metadata"].get("deletionTimestamp")}


def test_a_killed_pod_costs_at_most_what_it_was_answering(lab: Lab) -> None:
    """Killed without grace: the other replica and the gateway's retry carry the callers."""
    victim = objects("pods", "--selector", "archlab.dev/unit=online")[0]["metadata"]["name"]
    with callers(lab, "departure-delay") as seen:
        enough(seen, 100)
        kubectl("delete", "pod", victim, "--grace-period", "0", "--force")
        enough(seen, 300)
        kubectl("rollout", "status", "deployment/online", "--timeout", "120s")
    assert set(seen) == {200}, seen


def test_an_evicted_pool_comes_back(lab: Lab) -> None:
    before = _pods("lookup")
    kubectl("delete", "pod", "-l", "archlab.dev/unit=lookup")
    kubectl("rollout", "status", "deployment/lookup", "--timeout=120s")
    assert not before & _ready("lookup")
    with callers(lab, "route-segments", threads=1) as seen:
        enough(seen, 20)
    assert seen[200] >= 20


def test_control_restarts_without_a_failed_request_and_keeps_its_books(cli: Cli, lab: Lab) -> None:
    decisions, cost, now = cli.json("policy", "decisions"), cli.json("cost"), cli.json("clock", "show")["now"]
    with callers(lab, "departure-delay") as seen:
        enough(seen, 100)
        kubectl("rollout", "restart", "deployment/control")
        kubectl("rollout", "status", "deployment/control", "--timeout=150s")
        enough(seen, 100)
    assert set(seen) == {200}, seen
    _answers(lab)
    assert cli.json("policy", "decisions") == decisions
    assert cli.json("cost")["total_nanousd"] == cost["total_nanousd"]
    assert cli.json("clock", "show")["now"] == now
    assert "whole" in cli.ok("policy", "verify")


def test_the_registry_restarts_with_every_version(cli: Cli, lab: Lab) -> None:
    before = cli.json("models")
    kubectl("rollout", "restart", "deployment/registry")
    kubectl("rollout", "status", "deployment/registry", "--timeout", "150s")
    assert cli.json("models") == before
    assert cli.json("models", "show", "departure-delay")["versions"][0]["aliases"] == ["champion"]


def _answers(lab: Lab) -> None:
    """Wait until control answers through the gateway again."""
    gate, deadline = threading.Event(), time.monotonic() + 90
    while True:
        try:
            lab.control.get("/clock")
        except ArchlabError:
            assert time.monotonic() < deadline
            gate.wait(0.2)
        else:
            return
