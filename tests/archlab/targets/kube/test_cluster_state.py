"""Devices on nodes as `archlab cluster status` tells them, from what the API lists."""

from __future__ import annotations

from typing import Any

import pytest

from archlab.targets.kube.cluster_state import node_devices, policies, waiting_pods
from archlab.targets.kube.helm import merge

GPU = "nvidia.com/gpu"


def node(capacity: int, allocatable: int, *, emulated: bool = True, unhealthy: str = "") -> dict[str, Any]:
    labels = {"archlab.dev/device-basis": "emulated"} if emulated else {}
    annotations = {"archlab.dev/unhealthy-devices": unhealthy} if unhealthy else {}
    return {
        "metadata": {"name": "node-1", "labels": labels, "annotations": annotations},
        "status": {
            "capacity": {"cpu": "2", GPU: str(capacity), "nvidia.com/mig-1g.5gb": "0"},
            "allocatable": {"cpu": "2", GPU: str(allocatable), "nvidia.com/mig-1g.5gb": "0"},
        },
    }


def pod(name: str, *counts: int, on: str = "node-1") -> dict[str, Any]:
    containers = [{"name": f"c{n}", "resources": {"limits": {"cpu": "1", GPU: str(n)}}} for n in counts]
    spec = {"containers": [*containers, {"name": "bare"}], **({"nodeName": on} if on else {})}
    return {"metadata": {"namespace": "lab", "name": name}, "spec": spec}


def test_what_pods_hold_is_counted_by_node() -> None:
    (row,) = node_devices([node(4, 3, unhealthy="l4-0")], [pod("a", 1, 1), pod("b", 1, on="")], installed=True)
    assert (row.resource, row.capacity, row.allocatable, row.requested) == (GPU, 4, 3, 2)
    assert (row.advertised, row.unhealthy) == ("emulated", "l4-0")


@pytest.mark.parametrize(
    ("emulated", "installed", "allocatable", "advertised"),
    [
        (True, True, 2, "emulated"),
        (True, True, 0, "emulated"),
        (False, True, 2, "another"),
        (True, False, 2, "another"),
        (True, False, 0, "withdrawn"),
        (False, True, 0, "withdrawn"),
    ],
)
def test_whose_a_resource_is(emulated: bool, installed: bool, allocatable: int, advertised: str) -> None:
    (row,) = node_devices([node(2, allocatable, emulated=emulated)], [], installed=installed)
    assert row.advertised == advertised


def test_a_node_without_devices_has_no_row() -> None:
    assert node_devices([node(0, 0)], [], installed=True) == ()


def test_pods_without_a_node_that_want_a_device_wait() -> None:
    plain = {"metadata": {"namespace": "lab", "name": "plain"}, "spec": {"containers": [{"name": "app"}]}}
    assert waiting_pods([pod("a", 1), pod("b", 1, on=""), plain]) == (f"lab/b ({GPU})",)


def test_only_bindings_that_watch_namespaces_are_told() -> None:
    watching = {
        "metadata": {"name": "limits"},
        "spec": {"validationActions": ["Warn", "Audit"], "matchResources": {"namespaceSelector": {}}},
    }
    own = {"metadata": {"name": "own-node"}, "spec": {"validationActions": ["Deny"]}}
    assert policies([watching, own]) == ("limits (Warn, Audit)",)


def test_values_are_merged_as_helm_does() -> None:
    under = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert merge(under, {"a": {"y": [3]}, "c": {"d": 1}}) == {"a": {"x": 1, "y": [3]}, "b": 1, "c": {"d": 1}}
    assert merge(under, {"a": 2}) == {"a": 2, "b": 1}
    assert under == {"a": {"x": 1, "y": [1, 2]}, "b": 1}
