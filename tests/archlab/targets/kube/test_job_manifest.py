"""What a job's pod gets: no key and no address that its module has no use for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archlab.spec.job import Job
from archlab.targets.kube.job_manifest import GATEWAY, Wanted, manifest

ONLINE = {"secret": "online-features", "key": "url", "port": 6379}


def made(module: str, online: dict[str, Any] | None = None, env: dict[str, str] | None = None) -> dict[str, Any]:
    job = Job(name="it", module=module, env=env or {})
    command = ("python", "-m", module)
    return manifest(Wanted("lab", "job-it", job, command, "archlab:1", beside_control=True, online=online or {}))


def keys(module: str) -> list[str]:
    """Names of the keys that are mounted."""
    volumes = made(module)["spec"]["template"]["spec"]["volumes"]
    found = [volume["secret"] for volume in volumes if "secret" in volume]
    assert all("items" in secret for secret in found), "without a list all of a Secret's keys are mounted"
    return [item["key"] for secret in found for item in secret["items"]]


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("archlab.pipelines.register", ["jwt.pem", "signing.pem"]),
        ("archlab.pipelines.candidates", ["jwt.pem", "signing.pem"]),
        ("archlab.pipelines.batch", ["jwt.pem"]),
        ("archlab.world.replay", ["jwt.pem"]),
        ("archlab.pipelines.train", []),
        ("archlab.pipelines.materialize", []),
        ("archlab.pipelines.backtest", []),
        ("archlab.targets.snapshot", []),
        ("a.module.that.came.later", []),
    ],
)
def test_a_job_sees_the_keys_that_it_uses_and_no_others(module: str, needed: list[str]) -> None:
    assert keys(module) == needed


@pytest.mark.parametrize(
    ("module", "reaches"),
    [
        ("archlab.pipelines.materialize", True),
        ("archlab.world.replay", True),
        ("archlab.pipelines.train", False),
        ("archlab.pipelines.register", False),
    ],
)
def test_only_who_writes_features_knows_the_redis_and_is_let_out_to_it(module: str, reaches: bool) -> None:
    template = made(module, ONLINE)["spec"]["template"]
    variables = {v["name"]: v for v in template["spec"]["containers"][0]["env"]}
    assert ("archlab.dev/online-store" in template["metadata"]["labels"]) is reaches
    reference = {"name": "online-features", "key": "url"}
    assert variables.get("ARCHLAB_ONLINE_STORE") == (
        {"name": "ARCHLAB_ONLINE_STORE", "valueFrom": {"secretKeyRef": reference}} if reaches else None
    )


def test_without_such_a_value_nothing_says_redis() -> None:
    assert "online" not in json.dumps(made("archlab.pipelines.materialize"))


def test_variables_that_may_be_secret_are_not_in_the_manifest() -> None:
    said = made("archlab.pipelines.register", env={"MLFLOW_TRACKING_TOKEN": "eyJ"})
    assert "eyJ" not in json.dumps(said)
    (container,) = said["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "job-it"}}]
    assert {"name": "ARCHLAB_GATEWAY", "value": GATEWAY} in container["env"]
