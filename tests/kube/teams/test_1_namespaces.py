"""Every team has its namespace, with what it may hold and who may what, before anything runs there."""

from __future__ import annotations

import json

import pytest

from archlab.lab import Lab
from archlab.targets.kube.images import images
from kube_objects import Kubectl
from team_namespaces import HOME, NAME, containers, make_pod, may, namespaces, objects, quota

TEAMS = ("network-planning", "operations", "customer-care", "maintenance", "revenue")
ENGINEER, CALLER = "revenue-engineer", "revenue-caller"


def test_each_team_has_a_watched_restricted_namespace_and_nothing_runs_in_it(lab: Lab) -> None:
    assert namespaces() == {NAME, *(f"{NAME}-{team}" for team in TEAMS)}
    for team in TEAMS:
        found = Kubectl().get("namespace", f"{NAME}-{team}")
        labels = found["metadata"]["labels"]
        assert (labels["archlab.dev/team"], labels["pod-security.kubernetes.io/enforce"]) == (team, "restricted")
        assert objects("pods", f"{NAME}-{team}") == []


def test_every_teams_memory_and_devices_are_limited(lab: Lab) -> None:
    for team in TEAMS:
        hard, _ = quota(f"{NAME}-{team}")
        assert {"pods", "requests.memory", "requests.nvidia.com/gpu"} <= hard.keys()


def test_its_quota_can_be_read_though_it_uses_nothing(lab: Lab) -> None:
    hard, used = quota()
    assert hard == {
        "pods": "5",
        "requests.cpu": "300m",
        "requests.memory": "960Mi",
        "requests.nvidia.com/gpu": "1",
    }
    assert used["pods"] == "0"


@pytest.mark.parametrize(
    ("account", "verb", "resource", "where", "allowed"),
    [
        (ENGINEER, "list", "pods", HOME, True),
        (ENGINEER, "get", "pods/log", HOME, True),
        (ENGINEER, "get", "resourcequotas", HOME, True),
        (ENGINEER, "delete", "pods", HOME, True),
        (CALLER, "list", "pods", HOME, True),
        (CALLER, "delete", "pods", HOME, False),
        (ENGINEER, "create", "pods/exec", HOME, False),
        (ENGINEER, "get", "secrets", HOME, False),
        (ENGINEER, "patch", "deployments/scale", HOME, False),
        (ENGINEER, "update", "resourcequotas", HOME, False),
        (ENGINEER, "list", "pods", f"{NAME}-operations", False),
        (ENGINEER, "list", "pods", NAME, False),
        (ENGINEER, "get", "configmaps", NAME, False),
    ],
)
def test_a_member_may(lab: Lab, account: str, verb: str, resource: str, where: str, allowed: bool) -> None:
    assert may(account, HOME, verb, resource, where) is allowed


@pytest.mark.parametrize(
    ("account", "verb", "resource", "allowed"),
    [
        ("control", "list", "endpointslices.discovery.k8s.io", True),
        ("gateway", "watch", "endpointslices.discovery.k8s.io", True),
        ("control", "patch", "deployments.apps/scale", False),
        ("control", "list", "pods", False),
        ("control", "get", "secrets", False),
        ("workload", "list", "endpointslices.discovery.k8s.io", False),
    ],
)
def test_the_labs_own_parts_may(lab: Lab, account: str, verb: str, resource: str, allowed: bool) -> None:
    assert may(account, NAME, verb, resource, HOME) is allowed


def test_a_container_that_says_nothing_gets_requests_and_one_that_asks_too_much_is_told_the_quota(lab: Lab) -> None:
    made = make_pod(HOME, images()[1])
    assert made.returncode == 0, made.stderr
    (container,) = containers(made)
    assert container["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}
    refused = make_pod(HOME, images()[1], cpu="200m", memory="1000Mi")
    assert refused.returncode != 0
    assert "exceeded quota: team" in refused.stderr
    assert "limited: requests.memory=960Mi" in refused.stderr


def test_no_private_key_and_no_token_but_the_teams_own_is_there(lab: Lab) -> None:
    (secret,) = [s for s in objects("secrets", HOME) if s["metadata"]["name"] == "archlab-keys"]
    assert set(secret["data"]) == {"release.pub.pem", "trusted.pem", "replica.token"}
    assert "jwt.pem" not in json.dumps(objects("secrets", HOME))
