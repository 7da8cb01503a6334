"""Whole drills with both regions on the cluster, from the command line."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from archlab.drills.host import DRILL
from gated_registry import wait_for
from harness import ARCHLAB, Cli
from lab_pods import kubectl

NAME = "kube-drill"
TARGET = ("--target", "kube", "--namespace", NAME)
NAMESPACES = (NAME, f"{NAME}-east", f"{NAME}-west")


def drill(cli: Cli, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report."""
    done = cli.run("drill", "run", *options, *TARGET, "--json", timeout_s=280)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


def left() -> list[str]:
    """Namespaces of drills, and whatever runs in them."""
    return kubectl("get", "namespaces", "-l", f"{DRILL}={NAME}", "-o", "name").split()


def steps(report: dict[str, Any]) -> list[str]:
    return [event["name"] for event in report["events"]]


def test_a_killed_command_leaves_a_drill_behind_and_the_next_one_clears_it_and_loses_a_region(cli: Cli) -> None:
    command = [ARCHLAB, "drill", "run", "kill-region", "--recovery", "manual", *TARGET]
    with subprocess.Popen(command, env=cli.environment, stdout=subprocess.DEVNULL) as process:
        try:
            ready = ("get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[*].ready}")
            wait_for(lambda: kubectl(*ready, namespace=NAMESPACES[2]) == "true", "a pod in west", timeout_s=100)
        finally:
            process.kill()
    assert len(left()) == 3
    code, report = drill(cli, "kill-region")
    assert (code, report["verdict"], report["reasons"]) == (0, "green", [])
    seen = report["measured"]
    assert (seen["lost"], seen["rpo_s"]) == ([], 0.0)
    assert seen["acknowledged"] > 50
    assert seen["errors"], "callers notice that a region is gone"
    assert 0 < seen["detection_s"] < seen["rto_s"]
    order = ["east is killed", "detected", "decided", "assess", "fence", "promote", "rollbacks begin", "rejoin", "pair"]
    assert [name for name in steps(report) if name in order] == order
    assert "its pod is deleted" in report["faults"][0]["detail"]
    assert report["failback_s"]
    assert not left()


@pytest.mark.parametrize("name", ["lose-primary", "hang-region", "partition-then-kill"])
def test_a_fault_is_survived_with_nothing_lost(cli: Cli, name: str) -> None:
    code, report = drill(cli, name)
    assert (code, report["reasons"], report["measured"]["lost"]) == (0, [], [])
    assert "promote" in steps(report)


def test_a_mistake_is_undone_from_a_backup_that_is_in_the_region(cli: Cli) -> None:
    code, report = drill(cli, "delete-by-mistake", "--verify-backups")
    assert (code, report["reasons"], report["measured"]["rpo_s"]) == (0, [], 0.0)
    assert "promote" not in steps(report), "nobody failed over to the same mistake"


def test_without_recovery_it_is_red_and_the_region_comes_back_all_the_same(cli: Cli) -> None:
    code, report = drill(cli, "kill-region", "--recovery", "none", "--patience", "2")
    assert (code, report["verdict"]) == (1, "red")
    assert "the steady state was not met again" in report["reasons"]
    assert report["failback_s"]
    assert not left()


def test_somebody_elses_namespace_is_left_alone(cli: Cli) -> None:
    kubectl("create", "namespace", NAMESPACES[1])
    try:
        done = cli.run("drill", "run", "kill-region", *TARGET)
        assert done.returncode == 1
        assert f"There is a namespace {NAMESPACES[1]} on this cluster already" in done.stderr
        assert "--namespace" in done.stderr
        assert not left()
        assert kubectl("get", "namespace", NAMESPACES[1])
    finally:
        kubectl("delete", "namespace", NAMESPACES[1], "--wait=true")
