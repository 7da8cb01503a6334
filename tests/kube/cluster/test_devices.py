"""Emulated devices: placement, quotas and health are the scheduler's and the kubelet's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from archlab.settings import data_root
from cluster_chart import Installed, install
from kube_objects import Kubectl, until

GPU, SMALL, LARGE = "nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "nvidia.com/mig-3g.20gb"
TAKEN = "nvidia.com/mig-2g.10gb"
"""A resource of its own: the kubelet remembers for five minutes whose a resource was."""


@pytest.fixture(autouse=True)
def healthy(installed: Installed) -> Iterator[None]:
    yield
    installed.unhealthy("")


def pod(installed: Installed, name: str, resource: str, count: int = 1, script: str = "sleep 600") -> dict[str, Any]:
    container = {
        "name": "app",
        "image": installed.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "resources": {"limits": {"cpu": "100m", "memory": "32Mi", resource: str(count)}},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0, "restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def amount(installed: Installed, resource: str) -> int:
    return int(installed.node()["status"]["allocatable"].get(resource, 0))


def phase(kubectl: Kubectl, namespace: str, name: str) -> str:
    return str(kubectl.get("-n", namespace, "pod", name)["status"]["phase"])


def why_pending(kubectl: Kubectl, namespace: str, name: str) -> str:
    conditions = kubectl.get("-n", namespace, "pod", name)["status"].get("conditions", ())
    return next((c.get("message", "") for c in conditions if c["type"] == "PodScheduled"), "")


def run(kubectl: Kubectl, namespace: str, *pods: dict[str, Any]) -> None:
    kubectl.apply(namespace, *pods)
    names = [made["metadata"]["name"] for made in pods]
    until(lambda: all(phase(kubectl, namespace, name) == "Running" for name in names), f"{names}")


def test_what_the_values_declare_is_allocatable(installed: Installed) -> None:
    assert installed.allocatable() == {GPU: 2, SMALL: 4, LARGE: 1}
    assert installed.node()["metadata"]["labels"]["archlab.dev/device-basis"] == "emulated"


def test_a_pod_is_told_which_device_it_holds(kubectl: Kubectl, installed: Installed, namespace: str) -> None:
    variables = ("ARCHLAB_DEVICE_BASIS", "ARCHLAB_DEVICE_NVIDIA_COM_MIG_1G_5GB_INFO", "NVIDIA_VISIBLE_DEVICES")
    script = "; ".join(f'echo "${variable}"' for variable in variables)
    kubectl.apply(namespace, pod(installed, "asks", SMALL, script=script))
    until(lambda: phase(kubectl, namespace, "asks") == "Succeeded", "the pod's end")
    basis, held, visible = kubectl.ok("-n", namespace, "logs", "asks").splitlines()
    assert (basis, visible) == ("emulated", "void")
    (device,) = json.loads(held)
    assert device["name"].startswith("a100-0/1g.5gb-")
    assert device["product"] == "NVIDIA A100-PCIE-40GB"
    assert device["basis"] == "emulated"
    assert device["memory_bytes"] == 4864 << 20


def test_no_device_is_handed_out_twice(kubectl: Kubectl, installed: Installed, namespace: str) -> None:
    script = "echo $ARCHLAB_DEVICE_NVIDIA_COM_GPU; sleep 600"
    run(kubectl, namespace, *(pod(installed, f"holds-{n}", GPU, script=script) for n in range(2)))
    until(lambda: all(kubectl.ok("-n", namespace, "logs", f"holds-{n}") for n in range(2)), "their output")
    held = [kubectl.ok("-n", namespace, "logs", f"holds-{n}").strip() for n in range(2)]
    assert sorted(held) == ["l4-0", "l4-1"]


def test_the_pod_too_many_stays_pending_until_a_device_is_free(
    kubectl: Kubectl, installed: Installed, namespace: str
) -> None:
    run(kubectl, namespace, *(pod(installed, f"holds-{n}", GPU) for n in range(2)))
    kubectl.apply(namespace, pod(installed, "waits", GPU))
    until(lambda: "Insufficient nvidia.com/gpu" in why_pending(kubectl, namespace, "waits"), "the scheduler's reason")
    assert phase(kubectl, namespace, "waits") == "Pending"
    kubectl.ok("-n", namespace, "delete", "pod", "holds-0")
    until(lambda: phase(kubectl, namespace, "waits") == "Running", "the waiting pod")


def test_free_memory_in_small_slices_is_no_large_slice(kubectl: Kubectl, installed: Installed, namespace: str) -> None:
    run(kubectl, namespace, pod(installed, "large", LARGE))
    kubectl.apply(namespace, pod(installed, "another", LARGE))
    until(lambda: f"Insufficient {LARGE}" in why_pending(kubectl, namespace, "another"), "the scheduler's reason")
    run(kubectl, namespace, *(pod(installed, f"small-{n}", SMALL) for n in range(4)))
    assert phase(kubectl, namespace, "another") == "Pending"


def test_an_unhealthy_device_is_not_allocatable_and_keeps_its_pod(
    kubectl: Kubectl, installed: Installed, namespace: str
) -> None:
    script = "echo $ARCHLAB_DEVICE_NVIDIA_COM_GPU; sleep 600"
    run(kubectl, namespace, pod(installed, "holds", GPU, script=script))
    until(lambda: kubectl.ok("-n", namespace, "logs", "holds"), "its output")
    held = kubectl.ok("-n", namespace, "logs", "holds").strip()
    installed.unhealthy(held)
    until(lambda: installed.allocatable()[GPU] == 1, "one device less")
    assert installed.capacity()[GPU] == 2
    assert phase(kubectl, namespace, "holds") == "Running"
    kubectl.apply(namespace, pod(installed, "waits", GPU))
    until(lambda: "Insufficient nvidia.com/gpu" in why_pending(kubectl, namespace, "waits"), "the scheduler's reason")
    installed.unhealthy("")
    until(lambda: phase(kubectl, namespace, "waits") == "Running", "the waiting pod, once the device is healthy")


def test_a_card_fails_with_all_its_slices(installed: Installed) -> None:
    installed.unhealthy("a100-0")
    until(lambda: installed.allocatable() == {GPU: 2, SMALL: 0, LARGE: 0}, "the slices to go")
    installed.unhealthy("")
    until(lambda: installed.allocatable() == {GPU: 2, SMALL: 4, LARGE: 1}, "the slices to come back")


def test_a_quota_of_devices_refuses(kubectl: Kubectl, installed: Installed, namespace: str) -> None:
    hard = {f"requests.{GPU}": "1"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "devices"}, "spec": {"hard": hard}}
    kubectl.apply(namespace, quota)
    until(lambda: kubectl.get("-n", namespace, "resourcequota", "devices").get("status", {}).get("hard"), "the quota")
    run(kubectl, namespace, pod(installed, "first", GPU))
    refused = kubectl.run("-n", namespace, "apply", "-f", "-", document=pod(installed, "second", GPU))
    assert refused.returncode != 0
    assert "exceeded quota: devices, requested: requests.nvidia.com/gpu=1" in refused.stderr


def test_the_plugin_comes_back_after_its_pod_is_killed(kubectl: Kubectl, installed: Installed, namespace: str) -> None:
    run(kubectl, namespace, pod(installed, "holds", GPU))
    before = installed.plugin_pod()
    kubectl.ok("-n", installed.namespace, "delete", "pod", before, "--wait=true")
    until(lambda: installed.plugin_pod() not in ("", before), "another plugin")
    until(lambda: installed.allocatable() == {GPU: 2, SMALL: 4, LARGE: 1}, "the devices")
    assert phase(kubectl, namespace, "holds") == "Running"


def test_helm_test_passes(kubectl: Kubectl, installed: Installed) -> None:
    assert installed.helm("test", "archlab-cluster", "-n", installed.namespace).count("Phase:          Succeeded") == 3


ANOTHER = """
import sys, threading
from archlab_device_plugin import devices, plugin
from archlab_device_plugin.devices import Device
from archlab_device_plugin.kubelet import FOLDER, Kubelet

devices.PREFIX = "GPU-"
RESOURCE = "nvidia.com/mig-2g.10gb"
own = [Device(RESOURCE, str(n), str(n), "real", "real", "", 1) for n in range(3)]
serving = plugin.ResourcePlugin(RESOURCE, own, "node", FOLDER)
serving.socket = FOLDER / "another.sock"
serving.start()
Kubelet().register(RESOURCE, "another.sock")
print("registered", flush=True)
threading.Event().wait()
"""


def another_plugin(installed: Installed) -> dict[str, Any]:
    """A plugin that is not archlab's: other identities, another socket."""
    folder = "/var/lib/kubelet/device-plugins"
    container = {
        "name": "plugin",
        "image": installed.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-u", "-c", ANOTHER],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "sockets", "mountPath": folder}],
    }
    volumes = [{"name": "sockets", "hostPath": {"path": folder}}]
    spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "another"}, "spec": spec}


def test_it_stands_aside_where_another_plugin_advertises_the_resource(
    kubectl: Kubectl, installed: Installed, namespace: str, tmp_path: Path
) -> None:
    kubectl.apply(namespace, another_plugin(installed))
    until(lambda: amount(installed, TAKEN) == 3, "the other plugin's devices")
    card = {"name": "taken", "class": "nvidia-a100-40gb", "product": "NVIDIA A100-PCIE-40GB", "memoryMib": 40960}
    slices = [{"profile": "2g.10gb", "memoryMib": 9856}]
    chart = yaml.safe_load((data_root("helm") / "archlab-cluster" / "values.yaml").read_text())
    values = tmp_path / "values.yaml"
    cards = [*chart["devicePlugin"]["devices"], {**card, "slices": slices}]
    values.write_text(json.dumps({"devicePlugin": {"devices": cards}}))
    try:
        install(kubectl, installed.image, "--values", str(values))
        until(lambda: amount(installed, TAKEN) == 3, "still the other plugin's devices")
        log = kubectl.ok("-n", installed.namespace, "logs", installed.plugin_pod())
        assert f"{TAKEN} is advertised by another plugin: standing aside" in log
    finally:
        install(kubectl, installed.image)


PATCH = """
import json, sys
from archlab_device_plugin.node import Node
node = Node.in_cluster(sys.argv[1])
node._request(node._connect(5), "PATCH", "/api/v1/nodes/" + sys.argv[2], sys.argv[3])
"""


@pytest.mark.parametrize(
    "patch", [{"spec": {"unschedulable": True}}, {"metadata": {"labels": {"other": "x"}}}], ids=str
)
def test_the_plugins_rights_end_at_its_nodes_label(
    kubectl: Kubectl, installed: Installed, patch: dict[str, Any]
) -> None:
    name = installed.node()["metadata"]["name"]
    command = ("-n", installed.namespace, "exec", installed.plugin_pod(), "--", "python3", "-c", PATCH)
    refused = kubectl.run(*command, name, name, json.dumps(patch))
    assert "may change nothing of its node but the label archlab.dev/device-basis." in refused.stderr
