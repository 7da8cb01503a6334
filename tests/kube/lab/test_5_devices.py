"""A model on a device: its pods hold what the cluster offers, or it is said that nothing is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from archlab.lab import Lab
from archlab.targets.kube.images import images
from cluster_chart import archlab, install
from harness import Cli
from kube_objects import Kubectl
from lab_pods import kubectl, objects

MODEL, SLICE = "arrival-delay", "nvidia.com/mig-1g.5gb"
TAKER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "taker", "labels": {"archlab.dev/team": "platform"}},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "taker",
                "image": images()[1],
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "infinity"],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "resources": {
                    "requests": {"cpu": "1m", "memory": "8Mi"},
                    "limits": {"cpu": "100m", "memory": "32Mi", SLICE: 4},
                },
            }
        ],
    },
}


@pytest.fixture
def offered() -> Iterator[None]:
    """The cluster chart's own devices: four small slices."""
    install(Kubectl(), images()[1])
    yield
    archlab("cluster", "remove")


@pytest.fixture(scope="module")
def one_replica(cli: Cli, lab: Lab) -> Iterator[None]:
    """For all tests here; each takes the device off again."""
    cli.ok("set", MODEL, "replicas", "1", timeout_s=300)
    yield
    cli.run("set", MODEL, "device", "off", timeout_s=300)
    cli.ok("set", MODEL, "replicas", "2", timeout_s=300)


def limits() -> list[dict[str, Any]]:
    pods = objects("pods", "--selector", "archlab.dev/unit=online")
    there = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return [pod["spec"]["containers"][0]["resources"]["limits"] for pod in there]


def test_a_resource_that_no_node_offers_is_refused(cli: Cli, one_replica: None) -> None:
    refused = cli.run("set", MODEL, "device", "1g.5gb", timeout_s=120)
    assert refused.returncode == 1
    assert f"No node of the cluster offers a healthy {SLICE}" in refused.stderr
    assert "archlab cluster install" in refused.stderr


def test_pods_hold_what_is_placed_and_give_it_back(cli: Cli, lab: Lab, one_replica: None, offered: None) -> None:
    cli.ok("set", MODEL, "device", "1g.5gb", timeout_s=300)
    assert [found.get(SLICE) for found in limits()] == ["1", "1"]
    held = {entry["device"] for entry in cli.json("devices")["observed"] if entry["model"] == MODEL}
    assert len(held) == 2, "each pod says which slice it holds"
    assert all(name.startswith("a100-0/1g.5gb-") for name in held)
    now = cli.json("clock", "show")["now"]
    cli.ok("clock", "advance", "30m", timeout_s=200)
    slices = [line for line in lab.control.get("/lines") if line["start"] == now and line["resource"] == "device_slice"]
    assert sum(line["quantity"] for line in slices) == 2 * 30 * 60 * 1000, "two pods hold two slices, and pay for two"
    metrics = lab.control.text("/metrics")
    assert any("DCGM_FI_DEV_FB_USED{" in line and 'basis="emulated"' in line for line in metrics.splitlines())
    cli.ok("set", MODEL, "device", "off", timeout_s=300)
    assert all(SLICE not in found for found in limits())
    assert cli.json("devices")["observed"] == []


def test_with_none_left_the_reason_is_said_and_the_wish_can_be_taken_back(
    cli: Cli, one_replica: None, offered: None
) -> None:
    kubectl("apply", "--filename", "-", stdin=json.dumps(TAKER))
    try:
        kubectl("wait", "pod/taker", "--for=condition=Ready", "--timeout=60s")
        failed = cli.run("set", MODEL, "device", "1g.5gb", timeout_s=120)
        assert failed.returncode == 3
        assert f"Insufficient {SLICE}" in failed.stderr
        assert "archlab cluster status" in failed.stderr
        cli.ok("set", MODEL, "device", "off", timeout_s=300)
    finally:
        kubectl("delete", "pod", "taker", "--ignore-not-found")
