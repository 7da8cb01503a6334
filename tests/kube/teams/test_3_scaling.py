"""A team's own pool follows its load within the team's quota; rollouts find room, or it is told why they don't."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from archlab.lab import Lab
from archlab.targets.kube.images import images
from callers import callers, enough
from harness import Cli
from kube_objects import Kubectl, until
from team_namespaces import HOME, objects, quota

MODEL, POOL, TEAM = "route-segments", "revenue", "revenue"
LEAST, MOST = 2, 3
MEMORY_MIB = 64 * MOST
FOLLOW = ("autoscale", POOL, "concurrency", "--max", "6", "--target", "0.02", "--settle", "10")


@pytest.fixture(scope="module")
def scaled(cli: Cli, lab: Lab) -> Iterator[Lab]:
    """The lab with that pool following requests under way; its quota is enough for three servers."""
    cli.ok("isolation", "use", "pool", "--team", TEAM)
    cli.ok("quota", "set", TEAM, "memory", str(MEMORY_MIB))
    refused = cli.run(*FOLLOW)
    assert refused.returncode == 1, "three servers cost more than the team's budget"
    assert "finance can (archlab quota set revenue budget N)" in refused.stderr
    cli.ok("quota", "set", TEAM, "budget", "200", "--as", "finance")
    cli.ok(*FOLLOW)
    yield lab
    cli.ok("autoscale", POOL, "off")
    cli.ok("isolation", "use", "none", "--team", TEAM)


def pods() -> list[dict[str, Any]]:
    """Of the pool, those that answer."""
    found = objects("pods", HOME, "-l", f"archlab.dev/unit={POOL}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"] and _answers(pod)]


def _answers(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def names() -> set[str]:
    return {str(pod["metadata"]["name"]) for pod in pods()}


def restart() -> None:
    """A new template, as an upgrade of the image brings it."""
    Kubectl().ok("-n", HOME, "rollout", "restart", f"deployment/{POOL}")


def refused() -> list[str]:
    """What the Deployment says of pods that it can't have."""
    found = next(d for d in objects("deployments", HOME) if d["metadata"]["name"] == POOL)
    conditions = found["status"].get("conditions", ())
    return [c["message"] for c in conditions if c["type"] == "ReplicaFailure" and c["status"] == "True"]


@contextmanager
def full() -> Iterator[None]:
    """Somebody else's pod in the team's namespace takes the room that rollouts have."""
    restricted = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "filler",
        "image": images()[1],
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "600"],
        "securityContext": restricted,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "10m", "memory": "32Mi"}},
    }
    metadata = {"name": "filler", "labels": {"archlab.dev/team": TEAM}}
    spec = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    Kubectl().apply(HOME, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    try:
        yield
    finally:
        Kubectl().ok("-n", HOME, "delete", "pod", "filler", "--wait=true")


def test_control_scales_it_to_its_quota_and_says_who_can_raise_it(cli: Cli, scaled: Lab) -> None:
    with callers(scaled, MODEL) as seen:
        until(lambda: len(pods()) == MOST, "three pods", 120)
        enough(seen, 100)
        (shown,) = cli.json("status")["scaling"]
        assert set(seen) == {200}, seen
    assert (shown["by"], shown["replicas"], shown["min_replicas"]) == ("archlab control", MOST, LEAST)
    assert shown["max_replicas"] == MOST, "six were allowed, the quota is enough for three"
    assert "the quota of team revenue lets it have 3" in shown["said"]
    assert "archlab quota set revenue memory MIB" in shown["said"]
    hard, used = quota()
    assert (hard["pods"], used["pods"]) == ("4", "3"), "one pod is left for rollouts"
    assert refused() == []


def test_a_rollout_finds_room_while_it_is_scaled_up(scaled: Lab) -> None:
    with callers(scaled, MODEL) as seen:
        until(lambda: len(pods()) == MOST, "three pods", 120)
        before = names()
        restart()
        until(lambda: len(pods()) == MOST and not names() & before, "three new pods", 180)
        enough(seen, 100)
        assert set(seen) == {200}, seen
    assert refused() == []


def test_a_rollout_without_room_is_told_and_holds_up_no_other_change(cli: Cli, scaled: Lab) -> None:
    with callers(scaled, MODEL) as seen:
        until(lambda: len(pods()) == MOST, "three pods", 120)
        until(lambda: quota()[1]["pods"] == str(MOST), "that the ones before are gone")
        with full():
            before = names()
            restart()
            until(refused, "the refusal")
            told = [r["detail"] for r in cli.json("status")["replicas"] if r["state"] == "stopped"]
            assert any("exceeded quota: team" in detail and "limited: pods=4" in detail for detail in told), told
            cli.ok("isolation", "use", "limit", "--team", "maintenance")
            cli.ok("isolation", "use", "none", "--team", "maintenance")
            assert names() & before, "the old pods go on"
        until(lambda: not names() & before, "new pods, once there is room", 180)
        enough(seen, 100)
        assert set(seen) == {200}, seen


def test_it_goes_back_to_its_least_when_nobody_asks(scaled: Lab) -> None:
    until(lambda: len(pods()) == LEAST, "two pods", 120)
    until(lambda: quota()[1]["pods"] == str(LEAST), "that the third is gone")
