"""A plan as the chart's values."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from archlab import __version__
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario, scenario_folder, scenario_names
from archlab.plan.resolve import resolve
from archlab.settings import LabFolder, data_root, scenarios_root
from archlab.spec.autoscaling import Autoscaling, Signal
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Plan
from archlab.spec.scenario import ModelOverride, Overrides
from archlab.targets.kube.values import desired_files, values

PLACE = KubePlace(
    kubeconfig="/x",
    namespace="ten-models",
    image=f"archlab:{__version__}",
    serving_image=f"archlab-serving:{__version__}",
)


def _plan(overrides: Overrides | None = None) -> Plan:
    scenario = load_scenario(scenarios_root() / "ten_models" / "scenario.yaml")
    return layout("ten-models", resolve(scenario, 1)[0], 1, overrides or Overrides())


def test_the_charts_example_is_what_the_plan_gives() -> None:
    text = (data_root("helm") / "archlab" / "ci" / "ten-models-values.yaml").read_text()
    assert yaml.safe_load(text) == values(_plan(), PLACE, {})


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_has_a_unit_per_pool_and_serves_each_model_from_one(name: str) -> None:
    scenario = resolve(load_scenario(scenario_folder(name) / "scenario.yaml"), 1)[0]
    plan = layout(name, scenario, 1, Overrides())
    made = values(plan, PLACE, {})
    assert {pool.name for pool in scenario.pools} <= set(made["units"])
    assert {route.model for route in plan.routes} == {model.name for model in scenario.models}


def test_what_the_learner_sets_is_in_the_values() -> None:
    wanted = Overrides(models={"departure-delay": ModelOverride(replicas=4)})
    assert values(_plan(wanted), PLACE, {})["units"]["online"]["replicas"] == 4


def test_pools_that_follow_load_say_who_scales_them() -> None:
    cpu = Autoscaling(signal=Signal.CPU, target_milli=250, max_replicas=5, stabilization_s=30)
    concurrency = Autoscaling(signal=Signal.CONCURRENCY, target_milli=500, max_replicas=3)
    made = values(_plan(Overrides(autoscale={"online": cpu, "bento": concurrency})), PLACE, {})["units"]
    bounds = {"enabled": True, "minReplicas": 2, "maxReplicas": 5}
    by_hpa = {"by": "hpa", "targetCPUMillicores": 250, "stabilizationSeconds": 30}
    assert made["online"]["autoscaling"] == {**bounds, **by_hpa}
    assert made["bento"]["autoscaling"] == {"enabled": True, "minReplicas": 1, "maxReplicas": 3, "by": "control"}
    assert "autoscaling" not in made["lookup"]


def test_a_fixed_node_port_and_an_image_of_a_registry_with_a_port() -> None:
    place = PLACE.model_copy(update={"node_port": 30080, "image": "localhost:5000/archlab"})
    made = values(_plan(), place, {})
    assert made["gateway"]["service"] == {"nodePort": 30080}
    assert made["images"]["platform"] == {"repository": "localhost:5000/archlab", "tag": "latest"}


def test_no_key_is_handed_over(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "lab")
    for name in ("keys/jwt.pem", "plan.json", "policy/bundle.json"):
        (folder.root / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.root / name).write_text(name)
    assert desired_files(folder) == {"plan.json": "plan.json", "policy/bundle.json": "policy/bundle.json"}
