"""The cluster chart as tests install it: through `archlab cluster`, with an image that the cluster has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from kube_objects import Kubectl, until

NAMESPACE = "archlab-system"
ARCHLAB = Path(sys.executable).parent / "archlab"
DEVICES = ("nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "nvidia.com/mig-3g.20gb")
"""What the chart's own values declare."""


class Installed:
    """The release, and the first node of the cluster."""

    namespace = NAMESPACE

    def __init__(self, kubectl: Kubectl, image: str) -> None:
        self._kubectl = kubectl
        self.image = image

    def node(self) -> dict[str, Any]:
        """The node as it is."""
        found: dict[str, Any] = self._kubectl.get("nodes")["items"][0]
        return found

    def allocatable(self) -> dict[str, int]:
        """Healthy devices by resource."""
        return _devices(self.node()["status"]["allocatable"])

    def capacity(self) -> dict[str, int]:
        """Devices by resource, healthy or not."""
        return _devices(self.node()["status"]["capacity"])

    def unhealthy(self, names: str) -> None:
        """Mark devices of the node as a learner does."""
        archlab("cluster", "health", self.node()["metadata"]["name"], *names.split())

    def plugin_pod(self) -> str:
        """The plugin's ready pod; empty while there is none."""
        pods = self._kubectl.get("-n", self.namespace, "pods", "-l", "app.kubernetes.io/component=device-plugin")[
            "items"
        ]
        ready = [pod for pod in pods if all(s["ready"] for s in pod["status"].get("containerStatuses", [{"ready": 0}]))]
        return str(ready[0]["metadata"]["name"]) if ready and "deletionTimestamp" not in ready[0]["metadata"] else ""

    def helm(self, *arguments: str) -> str:
        """Helm's output."""
        return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=True, timeout=180).stdout


def archlab(*arguments: str) -> str:
    """The command's output; an error fails the test."""
    done = try_archlab(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def try_archlab(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line, whatever it ends with."""
    given = os.environ | (environment or {})
    return subprocess.run(
        [str(ARCHLAB), *arguments], capture_output=True, text=True, timeout=240, check=False, env=given
    )


def install(kubectl: Kubectl, image: str, *arguments: str) -> Installed:
    """Install, or change what is installed."""
    archlab("cluster", "install", "--image", image, *arguments)
    installed = Installed(kubectl, image)
    until(lambda: all(installed.allocatable().values()) and installed.allocatable(), "devices")
    return installed


def _devices(amounts: dict[str, str]) -> dict[str, int]:
    return {name: int(count) for name, count in amounts.items() if name in DEVICES}
