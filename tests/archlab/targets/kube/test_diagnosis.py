"""Why a pod does not come up, from pods as the API shows them."""

from __future__ import annotations

from typing import Any

import pytest

from archlab.targets.kube.diagnosis import (
    deployment_trouble,
    is_ready,
    is_rolled_out,
    pod_trouble,
    troubles,
)


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "online-1", "labels": {"archlab.dev/unit": "online"}}, "status": status}


def container(waits: str = "", message: str = "", *, restarts: int = 0, **last: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": waits, "message": message}} if waits else {"running": {}}
    ended = {"terminated": last} if last else {}
    return {
        "name": "server",
        "image": "archlab-serving:1",
        "state": state,
        "lastState": ended,
        "restartCount": restarts,
    }


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"])
def test_a_missing_image_is_named_with_how_to_bring_it(reason: str) -> None:
    found = pod_trouble(pod(containerStatuses=[container(reason, "not found")]))
    assert found is not None
    assert found.lasting
    assert "archlab-serving:1" in found.what
    assert "archlab image load" in found.remedy


def test_a_sidecars_missing_image_counts_too() -> None:
    assert pod_trouble(pod(initContainerStatuses=[container("ErrImagePull")])) is not None


def test_a_pending_pod_says_what_the_scheduler_said_and_may_still_go() -> None:
    said = "0/1 nodes are available: 1 Insufficient memory."
    found = pod_trouble(pod(conditions=[{"type": "PodScheduled", "status": "False", "message": said}]))
    assert found is not None
    assert said in found.what
    assert not found.lasting


def test_a_pod_without_a_device_is_told_where_to_look_and_is_in_no_trouble_while_another_gives_one_back() -> None:
    said = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    waits = pod(conditions=[{"type": "PodScheduled", "status": "False", "message": said}])
    (found,) = troubles([], [waits])
    assert said in found.what
    assert "archlab cluster status" in found.remedy
    assert "archlab cluster install" in found.remedy
    leaving = pod()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert troubles([], [waits, leaving]) == []


def test_one_restart_is_no_trouble_and_a_second_is() -> None:
    once = container(restarts=1, exitCode=1, reason="Error")
    twice = container(restarts=2, exitCode=1, reason="Error")
    assert pod_trouble(pod(containerStatuses=[once])) is None
    found = pod_trouble(pod(containerStatuses=[twice]))
    assert found is not None
    assert found.container == "server"
    assert "exit code 1" in found.what


def test_memory_is_named_as_the_cause() -> None:
    killed = container("CrashLoopBackOff", restarts=2, exitCode=137, reason="OOMKilled")
    found = pod_trouble(pod(containerStatuses=[killed]))
    assert found is not None
    assert "OOMKilled" in found.what


def test_a_pod_that_is_being_deleted_is_neither_ready_nor_in_trouble() -> None:
    leaving = pod(conditions=[{"type": "Ready", "status": "True"}], containerStatuses=[container("ErrImagePull")])
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not is_ready(leaving)
    assert pod_trouble(leaving) is None


def deployment(**status: Any) -> dict[str, Any]:
    meta = {"name": "online", "generation": 3, "labels": {"archlab.dev/unit": "online"}}
    return {"metadata": meta, "spec": {"replicas": 2}, "status": {"observedGeneration": 3, **status}}


def test_a_refusal_at_admission_is_passed_on() -> None:
    denied = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    found = deployment_trouble(deployment(conditions=[denied]))
    assert found is not None
    assert "exceeded quota" in found.what
    assert troubles([deployment(conditions=[denied])], []) == [found]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2, "replicas": 2}, True),
        ({"updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2, "replicas": 3}, False),
        ({"updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2, "replicas": 2}, False),
        ({"updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1, "replicas": 2}, False),
        ({}, False),
    ],
)
def test_a_rollout_is_over_when_only_new_pods_are_left_and_ready(status: dict[str, int], expected: bool) -> None:
    assert is_rolled_out(deployment(**status)) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"updatedReplicas": 5, "readyReplicas": 5, "availableReplicas": 5, "replicas": 5}, True),
        ({"updatedReplicas": 5, "readyReplicas": 2, "availableReplicas": 2, "replicas": 5}, True),
        ({"updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 1, "replicas": 2}, False),
        ({"updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 3, "replicas": 3}, False),
        ({}, False),
    ],
)
def test_of_what_follows_load_the_least_is_enough_though_a_quota_refuses_more(
    status: dict[str, int], expected: bool
) -> None:
    wanted = deployment(**status)
    wanted["spec"]["replicas"] = 8
    assert is_rolled_out(wanted, least=2) is expected


def test_what_a_quota_refuses_names_the_command_that_shows_it_and_where_a_pod_is_is_known() -> None:
    denied = {"type": "ReplicaFailure", "status": "True", "message": "pods is forbidden: exceeded quota: team"}
    found = deployment_trouble(deployment(conditions=[denied]))
    assert found is not None
    assert "archlab quota" in found.remedy
    leaving = pod()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert troubles([deployment(conditions=[denied])], [leaving]) == [], "what it holds is free soon"
    failing = pod(containerStatuses=[container("ErrImagePull")])
    failing["metadata"]["namespace"] = "lab-revenue"
    assert [trouble.namespace for trouble in troubles([], [failing])] == ["lab-revenue"]


def test_a_rollout_that_the_controller_has_not_seen_is_not_over() -> None:
    counts = {"updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2, "replicas": 2}
    assert not is_rolled_out(deployment(**{**counts, "observedGeneration": 2}))
