"""Chart archlab: pods of a unit that has devices."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from tests.charts.test_charts import render

from archlab.settings import data_root

CHART = data_root("helm") / "archlab"

pytestmark = pytest.mark.skipif(shutil.which("helm") is None, reason="there is no helm program on PATH")


def deployments(*more: str) -> dict[str, dict[str, Any]]:
    found = render(CHART, CHART / "ci" / "ten-models-values.yaml", *more)
    return {entry["metadata"]["name"]: entry["spec"] for entry in found if entry["kind"] == "Deployment"}


def server(spec: dict[str, Any]) -> dict[str, Any]:
    containers: list[dict[str, Any]] = spec["template"]["spec"]["containers"]
    return containers[0]


def test_pods_with_devices_ask_for_them_beside_their_limits_and_read_what_is_placed() -> None:
    container = server(deployments("--set", r"units.online.devices.nvidia\.com/gpu=1")["online"])
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "512Mi", "nvidia.com/gpu": 1}
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert str(environment["ARCHLAB_SERVING_DEVICES"]).endswith("/devices.json")


def test_a_rollout_needs_no_card_more_than_the_pods_hold() -> None:
    found = deployments("--set", r"units.online.devices.nvidia\.com/gpu=1")
    assert found["online"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert found["bento"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_without_devices_nothing_of_them_is_there() -> None:
    for name in ("online", "bento", "lookup"):
        container = server(deployments()[name])
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
        assert "ARCHLAB_SERVING_DEVICES" not in {entry["name"] for entry in container["env"]}
