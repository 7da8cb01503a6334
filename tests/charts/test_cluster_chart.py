"""What the cluster chart's values may be, and what comes of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from archlab.settings import data_root
from archlab_device_plugin.devices import parse

CHART = data_root("helm") / "archlab-cluster"
pytestmark = pytest.mark.skipif(shutil.which("helm") is None, reason="there is no helm program on PATH")


def template(values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    command = ["helm", "template", "archlab-cluster", str(CHART), "--kube-version", "1.34", "--values", "-"]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def rendered(**values: Any) -> dict[tuple[str, str], dict[str, Any]]:
    done = template(values)
    assert done.returncode == 0, done.stderr
    found = [document for document in yaml.safe_load_all(done.stdout) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in found}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"devicePlugin": {"devices": []}}, "devicePlugin/devices"),
        (
            {"devicePlugin": {"devices": [{"name": "L4", "class": "x", "product": "x", "memoryMib": 1}]}},
            "devices/0/name",
        ),
        ({"devicePlugin": {"devices": [{"name": "l4", "class": "x", "product": "x"}]}}, "memoryMib"),
        ({"admission": {"actions": ["Deny", "Warn"]}}, "admission/actions"),
        ({"admission": {"allowedImages": ["it's"]}}, "admission/allowedImages/0"),
        ({"admission": {"requiredLimits": ["gpu"]}}, "admission/requiredLimits/0"),
        ({"namespaces": [{"name": "a", "devices": {"amd.com/gpu": 1}}]}, "amd.com/gpu"),
        (
            {"priorityClasses": [{"name": "high", "value": 1, "preemption": "Never", "description": ""}]},
            "priorityClasses/0/name",
        ),
        ({"image": {"digest": "sha256:1"}}, "image/digest"),
        ({"devicesPlugin": {}}, "devicesPlugin"),
    ],
)
def test_a_typing_error_is_named(values: dict[str, Any], said: str) -> None:
    done = template(values)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_plugin_understands_what_the_chart_renders() -> None:
    found = rendered()[("ConfigMap", "archlab-cluster-device-plugin")]
    assert [device.name for device in parse(json.loads(found["data"]["devices.json"]))][:3] == [
        "l4-0",
        "l4-1",
        "a100-0/1g.5gb-0",
    ]


def test_the_plugin_has_the_kubelets_folder_and_no_other_power() -> None:
    spec = rendered()[("DaemonSet", "archlab-cluster-device-plugin")]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    context = container["securityContext"]
    assert [v["hostPath"]["path"] for v in spec["volumes"] if "hostPath" in v] == ["/var/lib/kubelet/device-plugins"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert not context.get("privileged")
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)


def test_a_change_of_devices_starts_the_plugin_anew() -> None:
    key = ("DaemonSet", "archlab-cluster-device-plugin")
    card = {"name": "l4", "class": "nvidia-l4", "product": "NVIDIA L4", "memoryMib": 23034}
    first, second = rendered(), rendered(devicePlugin={"devices": [card]})
    marks = [found[key]["spec"]["template"]["metadata"]["annotations"] for found in (first, second)]
    assert marks[0] != marks[1]


def test_a_seat_is_restricted_and_has_its_quota() -> None:
    found = rendered(
        namespaces=[{"name": "seat-1", "team": "ops", "devices": {"nvidia.com/gpu": 1}}, {"name": "seat-2"}]
    )
    labels = found[("Namespace", "seat-1")]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert (labels["archlab.dev/lab"], labels["archlab.dev/team"]) == ("seat-1", "ops")
    assert found[("ResourceQuota", "devices")]["spec"]["hard"] == {"requests.nvidia.com/gpu": "1"}
    assert found[("ResourceQuota", "devices")]["metadata"]["namespace"] == "seat-1"


def test_without_plugin_and_policies_only_priorities_are_left() -> None:
    found = rendered(devicePlugin={"enabled": False}, admission={"enabled": False})
    assert {kind for kind, _ in found} == {"PriorityClass"}
