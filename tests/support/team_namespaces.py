"""The namespaces of a lab's teams, as kubectl shows them."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from kube_objects import Kubectl

NAME = os.environ.get("ARCHLAB_TEST_TEAMS_LAB", "kube-teams")
"""Of the lab and its namespace: test runs that share a cluster take different ones."""
HOME = f"{NAME}-revenue"
"""Namespace of the team that these tests move."""
_kubectl = Kubectl()


def namespaces(lab: str = NAME) -> set[str]:
    """Those of a lab."""
    return {found["metadata"]["name"] for found in _kubectl.get("namespaces", "-l", f"archlab.dev/lab={lab}")["items"]}


def objects(kind: str, namespace: str, *arguments: str) -> list[dict[str, Any]]:
    """Of a kind in a namespace."""
    found: list[dict[str, Any]] = _kubectl.get(kind, "-n", namespace, *arguments)["items"]
    return found


def quota(namespace: str = HOME) -> tuple[dict[str, str], dict[str, str]]:
    """What the namespace's pods may hold, and what they do."""
    (found,) = objects("resourcequotas", namespace)
    return found["spec"]["hard"], found["status"].get("used", {})


def may(account: str, of: str, verb: str, resource: str, namespace: str) -> bool:
    """Whether the API server would let a ServiceAccount do something (`kubectl auth can-i`)."""
    user, (kind, _, part) = f"system:serviceaccount:{of}:{account}", resource.partition("/")
    done = _kubectl.run("auth", "can-i", verb, kind, "--subresource", part, "-n", namespace, "--as", user)
    assert done.stdout.strip() in ("yes", "no"), done.stderr
    return done.stdout.strip() == "yes"


def reaches(namespace: str, pod: str, host: str, port: int) -> bool:
    """Whether a server's pod gets a connection."""
    code = (
        "import socket\n"
        "try:\n"
        f" socket.create_connection(({host!r}, {port}), 3)\n"
        "except OSError:\n"
        " print('closed')\n"
        "else:\n"
        " print('open')\n"
    )
    said = _kubectl.ok("-n", namespace, "exec", pod, "-c", "server", "--", "python", "-c", code).strip()
    assert said in ("open", "closed")
    return said == "open"


def make_pod(namespace: str, image: str, **requests: str) -> subprocess.CompletedProcess[str]:
    """Try a pod of one's own in a namespace, as far as admission: nothing is kept (`--dry-run=server`)."""
    container = {
        "name": "own",
        "image": image,
        "resources": {"requests": requests, "limits": requests} if requests else {},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    metadata = {"name": "own", "labels": {"archlab.dev/team": "revenue"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    return _kubectl.run("-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-", document=pod)


def containers(done: subprocess.CompletedProcess[str]) -> Any:
    """Of the pod that would have been made."""
    return json.loads(done.stdout)["spec"]["containers"]
