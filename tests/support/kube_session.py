"""What each folder of tests with a lab on a cluster has: a reason to skip, writable volumes, a command line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archlab.targets.kube.images import images
from lab_pods import kubectl

LOOSE_VOLUMES = "kubernetes.io/host-path"
"""The provisioner of clusters for development that makes volumes which only root may write."""


def lacking() -> str:
    """Why these tests can't run here; empty when they can."""
    if not Path(os.environ.get("KUBECONFIG", "")).is_file():
        return "KUBECONFIG names no file: there is no cluster to test on"
    missing = [program for program in ("kubectl", "helm") if shutil.which(program) is None]
    return f"there is no {' and no '.join(missing)} on PATH" if missing else ""


@contextmanager
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
    kubectl("delete", "pod", "archlab-test-volumes", "--ignore-not-found", "--wait=true", namespace="kube-system")
