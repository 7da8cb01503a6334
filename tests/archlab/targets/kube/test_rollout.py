"""Waiting for pods: what holds the wait up, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from archlab.errors import TargetError
from archlab.targets.kube.api import Api
from archlab.targets.kube.rollout import Rollout

REFUSED = {
    "type": "ReplicaFailure",
    "status": "True",
    "message": "pods is forbidden: exceeded quota: team, requested: pods=1, used: pods=5, limited: pods=5",
}


class Shown(Api):
    """An API server that shows these deployments, and no pods."""

    def __init__(self, *deployments: dict[str, Any]) -> None:
        self.namespace = "lab"
        self.deployments = list(deployments)

    def items(self, path: str, **_query: str) -> list[dict[str, Any]]:
        return self.deployments if path.endswith("/deployments") else []


def deployment(name: str, *, updated: int, available: int, there: int, **more: Any) -> dict[str, Any]:
    counts = {"updatedReplicas": updated, "readyReplicas": available, "availableReplicas": available, "replicas": there}
    meta = {"name": name, "generation": 3, "labels": {"archlab.dev/unit": name}}
    return {"metadata": meta, "spec": {"replicas": there}, "status": {"observedGeneration": 3, **counts, **more}}


def stuck(available: int = 5) -> dict[str, Any]:
    """All that the quota allows are old ones, and the first new one is refused."""
    return deployment("revenue", updated=0, available=available, there=5, conditions=[REFUSED])


def wait(*deployments: dict[str, Any], least: int | None = 2, patience_s: float = 0.1) -> list[str]:
    told: list[str] = []
    scaled = {} if least is None else {"revenue": least}
    rollout = Rollout(
        Shown(*deployments), "lab", lambda step, detail: told.append(f"{step}: {detail}"), ("lab",), scaled
    )
    rollout.wait(patience_s)
    return told


def test_a_scaled_pool_that_its_quota_keeps_from_rolling_out_holds_up_nothing_and_is_told() -> None:
    ready = deployment("control", updated=1, available=1, there=1)
    (told,) = wait(ready, stuck())
    assert told.startswith("wait: revenue goes on with what it has: gets no pod: ")
    assert "exceeded quota: team" in told
    assert "archlab quota" in told


def test_it_is_waited_for_where_too_few_of_it_answer_or_its_number_is_fixed() -> None:
    with pytest.raises(TargetError, match="revenue not ready"):
        wait(stuck(available=1))
    with pytest.raises(TargetError, match="revenue not ready"):
        wait(stuck(), least=None)


def test_the_others_are_waited_for_meanwhile() -> None:
    with pytest.raises(TargetError, match=r"^control not ready") as failed:
        wait(deployment("control", updated=1, available=0, there=1), stuck())
    assert "revenue" not in failed.value.message
