"""Pods as replicas."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.spec.plan import Plan, ReplicaState, Role, Unit
from archlab.targets.kube.observation import cpu_cores, memory_bytes, observation

PLAN = Plan(
    lab="lab",
    scenario="test",
    seed=1,
    units=(
        Unit(name="control", role=Role.CONTROL, replicas=1),
        Unit(name="online", role=Role.SERVER, replicas=2, pool="online"),
    ),
    routes=(),
    reservations=(),
)


def pod(
    name: str, unit: str, *, ready: bool = True, created: str = "2026-01-01T00:00:00Z", **status: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": created, "labels": {"archlab.dev/unit": unit}},
        "spec": {"nodeName": "node-1"},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}], **status},
    }


def test_replicas_are_numbered_by_age_and_those_that_miss_are_stopped() -> None:
    pods = [pod("online-b", "online", created="2026-01-02T00:00:00Z"), pod("online-a", "online")]
    found = observation(PLAN, pods, []).replicas
    assert [(r.unit, r.index, r.state) for r in found] == [
        ("control", 0, ReplicaState.STOPPED),
        ("online", 0, ReplicaState.READY),
        ("online", 1, ReplicaState.READY),
    ]
    assert found[1].detail == "online-a on node-1"


def test_what_a_pod_holds_is_shown() -> None:
    holds = pod("online-a", "online")
    holds["spec"]["containers"] = [{"resources": {"limits": {"cpu": "1", "nvidia.com/gpu": "1"}}}]
    found = observation(PLAN, [holds], []).replicas
    assert found[1].detail == "online-a on node-1 with 1 nvidia.com/gpu"


def test_a_pod_of_a_teams_is_shown_with_its_namespace() -> None:
    pods = [pod("online-a", "online"), pod("online-b", "online", created="2026-01-02T00:00:00Z")]
    pods[0]["metadata"]["namespace"], pods[1]["metadata"]["namespace"] = "lab", "lab-ops"
    _, *found = observation(PLAN, pods, [], home="lab").replicas
    assert [r.detail for r in found] == ["online-a on node-1", "lab-ops/online-b on node-1"]


def test_pods_that_a_quota_refuses_are_there_as_missing_ones_with_the_reason() -> None:
    denied = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: team, limited: pods=5"}
    deployment = {
        "metadata": {"name": "online", "labels": {"archlab.dev/unit": "online"}},
        "spec": {"replicas": 3},
        "status": {"conditions": [denied]},
    }
    _, *found = observation(PLAN, [pod("online-a", "online")], [], [deployment]).replicas
    assert [r.state for r in found] == [ReplicaState.READY, ReplicaState.STOPPED, ReplicaState.STOPPED]
    assert {r.detail for r in found[1:]} == {"gets no pod: exceeded quota: team, limited: pods=5"}


def test_a_rollout_that_a_quota_stops_is_told_though_no_pod_is_missing() -> None:
    denied = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: team, limited: pods=2"}
    deployment = {
        "metadata": {"name": "online", "labels": {"archlab.dev/unit": "online"}},
        "spec": {"replicas": 2},
        "status": {"conditions": [denied]},
    }
    old = [pod("online-a", "online"), pod("online-b", "online")]
    _, *found = observation(PLAN, old, [], [deployment]).replicas
    assert [(r.index, r.state) for r in found] == [
        (0, ReplicaState.READY),
        (1, ReplicaState.READY),
        (2, ReplicaState.STOPPED),
    ]
    assert found[2].detail == "gets no pod: exceeded quota: team, limited: pods=2"


def test_jobs_are_no_replicas_and_other_units_are_shown() -> None:
    found = observation(PLAN, [pod("job-train-x", "job-train"), pod("opa-1", "opa")], []).replicas
    assert [r.unit for r in found] == ["control", "online", "online", "opa"]


def test_what_metrics_server_measured_is_summed_over_containers() -> None:
    usage = [{"usage": {"cpu": "250m", "memory": "100Mi"}}, {"usage": {"cpu": "1000000n", "memory": "1Mi"}}]
    measured = [{"metadata": {"name": "online-a"}, "containers": usage}]
    (first, *_) = [r for r in observation(PLAN, [pod("online-a", "online")], measured).replicas if r.unit == "online"]
    assert first.cpu_percent == pytest.approx(25.1)
    assert first.rss_bytes == 101 << 20


def test_the_reason_of_a_failed_pod_is_shown() -> None:
    waiting = {"name": "server", "image": "x", "state": {"waiting": {"reason": "ErrImagePull", "message": "no host"}}}
    (found,) = list(
        observation(None, [pod("online-a", "online", ready=False, containerStatuses=[waiting])], []).replicas
    )
    assert found.state is ReplicaState.FAILED
    assert "no host" in found.detail


@given(st.integers(0, 10**9))
def test_quantities_are_read_in_every_unit(number: int) -> None:
    assert memory_bytes(f"{number}Ki") == number * 1024
    assert memory_bytes(f"{number}") == number
    assert cpu_cores(f"{number}m") == pytest.approx(number / 1000)
    assert cpu_cores(f"{number}n") == pytest.approx(number / 1e9)
    assert cpu_cores(f"{number}") == number
