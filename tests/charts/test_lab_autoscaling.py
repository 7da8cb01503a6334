"""Chart archlab: pools whose pods follow load, by a HorizontalPodAutoscaler or by control."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from tests.charts.test_charts import render

from archlab.settings import data_root

CHART = data_root("helm") / "archlab"
ON = ("units.online.autoscaling.enabled=true", "units.online.autoscaling.maxReplicas=4")

pytestmark = pytest.mark.skipif(shutil.which("helm") is None, reason="there is no helm program on PATH")


def rendered(*switches: str) -> dict[tuple[str, str], dict[str, Any]]:
    more = [part for switch in switches for part in ("--set", switch)]
    found = render(CHART, CHART / "ci" / "ten-models-values.yaml", *more)
    return {(entry["kind"], entry["metadata"]["name"]): entry for entry in found}


def test_an_hpa_has_bounds_target_and_window() -> None:
    more = ("targetCPUMillicores=250", "stabilizationSeconds=30", "minReplicas=2")
    found = rendered(*ON, *(f"units.online.autoscaling.{switch}" for switch in more))
    spec = found["HorizontalPodAutoscaler", "online"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 4)
    assert spec["metrics"][0]["containerResource"]["target"] == {"type": "AverageValue", "averageValue": "250m"}
    assert spec["behavior"] == {"scaleDown": {"stabilizationWindowSeconds": 30}}
    assert ("Role", "scale-pools") not in found


def test_a_deployment_keeps_its_replicas_field_when_it_is_scaled() -> None:
    """A field that goes from a manifest falls back to one replica, and with it the capacity."""
    assert rendered(*ON)["Deployment", "online"]["spec"]["replicas"] == 2


def test_control_may_scale_the_pools_that_it_scales_and_no_other() -> None:
    found = rendered(*ON, "units.online.autoscaling.by=control")
    assert ("HorizontalPodAutoscaler", "online") not in found
    (rule,) = found["Role", "scale-pools"]["rules"]
    assert rule == {
        "apiGroups": ["apps"],
        "resources": ["deployments/scale"],
        "resourceNames": ["online"],
        "verbs": ["get", "patch"],
    }
    (subject,) = found["RoleBinding", "scale-pools"]["subjects"]
    assert subject["name"] == "control"


def test_a_pool_that_may_have_several_pods_has_a_budget() -> None:
    assert ("PodDisruptionBudget", "bento") not in rendered()
    assert ("PodDisruptionBudget", "bento") in rendered(*(switch.replace("online", "bento") for switch in ON))


def test_with_fixed_replicas_nothing_of_it_is_there() -> None:
    assert not {kind for kind, name in rendered() if kind == "HorizontalPodAutoscaler" or name == "scale-pools"}
