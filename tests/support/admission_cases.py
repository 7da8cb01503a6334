"""Workloads for the admission rules: one good one, and generated ones of every kind with every fault."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

IMAGES = ("archlab", "docker.io/library/python", "localhost:5000/own")
GOOD = {"cpu": "100m", "memory": "32Mi"}
KINDS = {
    "Pod": "v1",
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
}


def deployment(
    *,
    labels: dict[str, str] | None = None,
    image: str = "archlab/serving:1",
    limits: dict[str, str] | None = None,
    privileged: bool = False,
) -> dict[str, Any]:
    """A Deployment that is admitted unless something is changed."""
    container: dict[str, Any] = {
        "name": "app",
        "image": image,
        "resources": {"limits": GOOD if limits is None else limits},
        "securityContext": {"privileged": privileged},
    }
    own = {"archlab.dev/team": "ops"} if labels is None else labels
    return wrap("Deployment", {"containers": [container]}, own)


def wrap(kind: str, spec: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """A pod's spec as a workload of a kind, called web."""
    own = {"app": "web", **labels}
    head = {"apiVersion": KINDS[kind], "kind": kind, "metadata": {"name": "web"}}
    if kind == "Pod":
        return {**head, "metadata": {"name": "web", "labels": own}, "spec": spec}
    template: dict[str, Any] = {"metadata": {"labels": own}, "spec": spec}
    if kind in ("Job", "CronJob"):
        job = {"template": {**template, "spec": {**spec, "restartPolicy": "Never"}}}
        return {**head, "spec": job if kind == "Job" else {"schedule": "0 8 * * *", "jobTemplate": {"spec": job}}}
    more = {"serviceName": "web"} if kind == "StatefulSet" else {}
    return {**head, "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **more}}


_QUANTITIES = {
    "cpu": ["0", "0m", "0.0", "00", "1", "100m", "0.5", "1e0", "0e3", 0, 1],
    "memory": ["0", "0Mi", "1Gi", "64Mi", "0.5Gi", "1e8", 0, 1048576],
}
_IMAGES = [
    "archlab/serving:1",
    "archlab",
    "archlab:1",
    "docker.io/archlab/serving:1",
    "docker.io/library/archlab",
    "archlab-evil/serving",
    "archlab@sha256:" + "a" * 64,
    "python:3.11",
    "docker.io/library/python:3.11",
    "docker.io/python",
    "python:5000/evil:1",
    "library/python:3.11",
    "localhost:5000/own/x:2",
    "localhost:5000/own",
    "localhost:5000/owner",
    "evil.example/docker.io/archlab/serving",
    "nginx",
    "nginx:1.27",
]


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@st.composite
def _limits(draw: st.DrawFn) -> dict[str, Any] | None:
    if draw(st.integers(0, 9)) == 0:
        return None
    return _present(**{name: draw(_maybe(st.sampled_from(found))) for name, found in _QUANTITIES.items()})


@st.composite
def _container(draw: st.DrawFn, name: str) -> dict[str, Any]:
    good = draw(st.booleans())
    limits = GOOD if good else draw(_limits())
    image = "archlab/serving:1" if good else draw(st.sampled_from(_IMAGES))
    privileged = draw(_maybe(st.booleans())) if draw(st.integers(0, 3)) == 0 else None
    return {
        "name": name,
        "image": image,
        **_present(
            resources=_present(limits=limits) or None,
            securityContext=None if privileged is None else {"privileged": privileged},
        ),
    }


_VOLUMES = [{"name": "scratch", "emptyDir": {}}, {"name": "root", "hostPath": {"path": "/"}}]
_POD_LIMITS = [{"cpu": "64"}, {"memory": "64Gi"}, {"cpu": "64", "memory": "64Gi"}]


@st.composite
def workloads(draw: st.DrawFn) -> dict[str, Any]:
    """A workload that the API server finds valid, whether it is admitted or not."""
    spec: dict[str, Any] = {
        "containers": [draw(_container(f"app-{n}")) for n in range(draw(st.integers(1, 3)))],
        **_present(
            initContainers=[draw(_container(f"init-{n}")) for n in range(draw(st.integers(0, 2)))] or None,
            volumes=draw(_maybe(st.lists(st.sampled_from(_VOLUMES), unique_by=lambda volume: volume["name"]))),
            hostNetwork=draw(_maybe(st.booleans())),
            hostPID=draw(_maybe(st.booleans())),
        ),
    }
    if draw(st.integers(0, 4)) == 0:
        spec["resources"] = {"limits": draw(st.sampled_from(_POD_LIMITS))}
    labels = draw(st.sampled_from([{}, {"archlab.dev/team": "ops"}, {"archlab.dev/team": ""}, {"team": "ops"}]))
    return wrap(draw(st.sampled_from(sorted(KINDS))), spec, labels)
