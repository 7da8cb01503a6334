"""A real ten-model lab on the cluster that KUBECONFIG names.

The images must be there: `make image`, `archlab image load`. ARCHLAB_IMAGE and ARCHLAB_SERVING_IMAGE name others.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from archlab import settings
from archlab.lab import Lab, lab_names, open_lab
from archlab.targets.kube.images import images
from harness import NAME, Cli
from lab_pods import kubectl

HERE = Path(__file__).parent
LOOSE_VOLUMES = "kubernetes.io/host-path"
"""The provisioner of clusters for development that makes volumes which only root may write."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A lab takes its time."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def writable_volumes() -> Iterator[None]:
    """Volumes that pods may write, on a development cluster whose provisioner makes them root's own."""
    classes = json.loads(kubectl("get", "storageclass", "--output", "json"))["items"]
    if not any(entry["provisioner"] == LOOSE_VOLUMES for entry in classes):
        yield
        return
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "archlab-test-volumes"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "loosen",
                    "image": images()[1],
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", "while :; do chmod 0777 /volumes/* 2>/dev/null; sleep 0.2; done"],
                    "securityContext": {"runAsUser": 0},
                    "volumeMounts": [{"name": "volumes", "mountPath": "/volumes"}],
                }
            ],
            "volumes": [{"name": "volumes", "hostPath": {"path": "/tmp/hostpath_pv", "type": "DirectoryOrCreate"}}],
        },
    }
    kubectl("apply", "--filename", "-", stdin=json.dumps(pod), namespace="kube-system")
    yield
    kubectl("delete", "pod", "archlab-test-volumes", "--ignore-not-found", "--wait=false", namespace="kube-system")


@pytest.fixture(scope="session")
def cli(writable_volumes: None) -> Iterator[Cli]:
    """A command line whose home is a temporary folder; data that the checkout has cached is used."""
    with tempfile.TemporaryDirectory(prefix="archlab-kube-") as home:
        made = Cli(Path(home))
        shared = settings.home() / "cache"
        shared.mkdir(parents=True, exist_ok=True)
        (made.home / "cache").symlink_to(shared)
        previous = os.environ.get("ARCHLAB_HOME")
        os.environ["ARCHLAB_HOME"] = home
        yield made
        for name in lab_names():
            made.run("down", "--lab", name, "--purge")
        if previous is None:
            del os.environ["ARCHLAB_HOME"]
        else:
            os.environ["ARCHLAB_HOME"] = previous


@pytest.fixture(scope="session")
def lab(cli: Cli) -> Lab:
    """The lab, up."""
    cli.ok("up", "ten-models", "--lab", NAME, "--target", "kube", timeout_s=600)
    return open_lab(NAME)
