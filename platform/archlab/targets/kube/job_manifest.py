"""What a job is in a cluster: a pod beside control, on its volume, with those of the keys that it needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archlab.spec.job import Job
from archlab.targets.kube.api import Object
from archlab.targets.kube.values import KEYS_SECRET

BATCH = "batch/v1"
HOME = "/var/lib/archlab"
KEYS = "/etc/archlab/keys"
TMP = "/tmp"  # noqa: S108 the pod's own
GATEWAY = "http://gateway:8080"
GRACE_S = 30
KEPT_S = 600
REQUESTS = {"cpu": "100m", "memory": "256Mi"}
LIMITS = {"cpu": "2", "memory": "3Gi"}
ARGUMENTS = "archlab.dev/arguments"
ONLINE_STORE = "ARCHLAB_ONLINE_STORE"
LET_OUT = "archlab.dev/online-store"
"""Label of pods that the chart's network policy lets out to the Redis."""
WITH_REGISTRY = frozenset({"archlab.targets.snapshot"})
"""Modules that read or write the registry's volume too."""
SPEAKS, SIGNS = "jwt.pem", "signing.pem"
NEEDED = {
    "archlab.pipelines.register": (SPEAKS, SIGNS),
    "archlab.pipelines.candidates": (SPEAKS, SIGNS),
    "archlab.pipelines.batch": (SPEAKS,),
    "archlab.world.replay": (SPEAKS,),
}
"""Private keys by module: who speaks to control or for callers, who signs models. The others get none."""
WITH_ONLINE_STORE = frozenset({"archlab.pipelines.materialize", "archlab.world.replay"})
"""Modules that write online features; replay starts the former."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One job of a lab."""

    lab: str
    name: str
    job: Job
    command: tuple[str, ...]
    """With paths and addresses as a pod has them."""
    image: str
    beside_control: bool
    """Whether control runs: its volume is one node's while it has it."""
    online: Mapping[str, Any]
    """The chart's value `features.online`: where online features are, if not on control's volume."""

    @property
    def online_store(self) -> str:
        """Name of the Secret with the Redis's address; empty for a job that has nothing to do there."""
        return str(self.online.get("secret") or "") if self.job.module in WITH_ONLINE_STORE else ""


def metadata(lab: str, name: str, arguments: str = "") -> Object:
    """Name, labels and the mark by which a job with the same arguments is recognised."""
    labels = {
        "app.kubernetes.io/name": "archlab",
        "app.kubernetes.io/instance": lab,
        "app.kubernetes.io/component": "job",
        "app.kubernetes.io/managed-by": "archlab",
        "archlab.dev/lab": lab,
        "archlab.dev/unit": name,
        "archlab.dev/team": "platform",
    }
    return {"name": name, "labels": labels, "annotations": {ARGUMENTS: arguments}}


def manifest(wanted: Wanted) -> Object:
    """The Job."""
    about = metadata(wanted.lab, wanted.name, " ".join(wanted.command))
    writes = {LET_OUT: "true"} if wanted.online_store else {}
    return {
        "apiVersion": BATCH,
        "kind": "Job",
        "metadata": about,
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {"metadata": {"labels": about["labels"] | writes}, "spec": _pod(wanted)},
        },
    }


def _pod(wanted: Wanted) -> Object:
    volumes = _volumes(wanted)
    container = {
        "name": "job",
        "image": wanted.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(wanted.command),
        "workingDir": HOME,
        "env": _env(wanted),
        "envFrom": [{"secretRef": {"name": wanted.name}}] if wanted.job.env else [],
        "resources": {"requests": REQUESTS, "limits": LIMITS},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": n, "mountPath": path, "readOnly": n == "keys"} for n, path, _ in volumes],
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "affinity": _beside_control(wanted.lab) if wanted.beside_control else {},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": n, **source} for n, _, source in volumes],
    }


def _volumes(wanted: Wanted) -> list[tuple[str, str, Object]]:
    """Name, path and source of each."""
    folder = f"{HOME}/{wanted.lab}"
    found: list[tuple[str, str, Object]] = [("home", HOME, {"persistentVolumeClaim": {"claimName": "control"}})]
    if wanted.job.module in WITH_REGISTRY:
        found.append(("registry", f"{folder}/registry", {"persistentVolumeClaim": {"claimName": "registry"}}))
    if needed := NEEDED.get(wanted.job.module, ()):
        items = [{"key": name, "path": name} for name in needed]
        found.append(("keys", KEYS, {"secret": {"secretName": KEYS_SECRET, "defaultMode": 0o440, "items": items}}))
    found.append(("tmp", TMP, {"emptyDir": {}}))
    return found


def _env(wanted: Wanted) -> list[Object]:
    plain = {
        "ARCHLAB_LAB": f"{HOME}/{wanted.lab}",
        "ARCHLAB_KEYS": KEYS,
        "ARCHLAB_CONTROL_AT": "control:8000",
        "ARCHLAB_GATEWAY": GATEWAY,
        "HOME": TMP,
    }
    found: list[Object] = [{"name": key, "value": value} for key, value in plain.items()]
    if wanted.online_store:
        reference = {"name": wanted.online_store, "key": wanted.online.get("key") or "url"}
        found.append({"name": ONLINE_STORE, "valueFrom": {"secretKeyRef": reference}})
    return found


def _beside_control(lab: str) -> Object:
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"archlab.dev/lab": lab, "archlab.dev/unit": "control"}},
    }
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
