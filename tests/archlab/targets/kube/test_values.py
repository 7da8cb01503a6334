"""A plan as the chart's values."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from archlab import __version__
from archlab.errors import UserError
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario, scenario_folder, scenario_names
from archlab.plan.resolve import resolve
from archlab.settings import LabFolder, data_root, scenarios_root
from archlab.spec.autoscaling import Autoscaling, Signal
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Plan
from archlab.spec.scenario import ModelOverride, Overrides, TeamOverride
from archlab.spec.tenancy import Isolation
from archlab.targets.kube.values import desired_files, values

PLACE = KubePlace(
    kubeconfig="/x",
    namespace="ten-models",
    image=f"archlab:{__version__}",
    serving_image=f"archlab-serving:{__version__}",
)


DECLARED = {name: load_scenario(scenario_folder(name) / "scenario.yaml") for name in scenario_names()}
ON_CLUSTERS = [name for name, s in DECLARED.items() if not s.tampering and not s.regions]
"""Scenarios whose records were changed by hand, or that have two regions, can only be labs on this machine."""


def _plan(overrides: Overrides | None = None) -> Plan:
    scenario = load_scenario(scenarios_root() / "ten_models" / "scenario.yaml")
    return layout("ten-models", resolve(scenario, 1)[0], 1, overrides or Overrides())


@pytest.mark.parametrize("name", ON_CLUSTERS)
def test_the_charts_examples_are_what_the_plans_give(name: str) -> None:
    text = (data_root("helm") / "archlab" / "ci" / f"{name}-values.yaml").read_text()
    plan = layout(name, resolve(load_scenario(scenario_folder(name) / "scenario.yaml"), 1)[0], 1, Overrides())
    assert yaml.safe_load(text) == values(plan, PLACE, {})


def test_the_example_of_teams_apart_is_what_their_pools_give() -> None:
    text = (data_root("helm") / "archlab" / "ci" / "five-teams-apart-values.yaml").read_text()
    scenario = resolve(load_scenario(scenario_folder("five-teams") / "scenario.yaml"), 1)[0]
    apart = {name: TeamOverride(isolation=Isolation.POOL) for name in ("operations", "revenue")}
    assert yaml.safe_load(text) == values(layout("five-teams", scenario, 1, Overrides(teams=apart)), PLACE, {})


def test_what_the_learner_gives_servers_changes_the_quotas_of_teams() -> None:
    scenario = resolve(load_scenario(scenario_folder("five-teams") / "scenario.yaml"), 1)[0]
    plan = layout("five-teams", scenario, 1, Overrides())
    own = {"servers": {"resources": {"requests": {"memory": "480Mi"}}}}
    hard = values(plan, PLACE, {}, own)["teams"]["revenue"]["quota"]
    assert (hard["requests.memory"], hard["requests.cpu"]) == (f"{5 * 512}Mi", "300m")


@pytest.mark.parametrize("name", [name for name, s in DECLARED.items() if not s.regions])
def test_every_scenario_has_a_unit_per_pool_and_serves_each_model_from_one(name: str) -> None:
    scenario = resolve(load_scenario(scenario_folder(name) / "scenario.yaml"), 1)[0]
    plan = layout(name, scenario, 1, Overrides())
    made = values(plan, PLACE, {})
    assert {pool.name for pool in scenario.pools} <= set(made["units"])
    assert {route.model for route in plan.routes} == {model.name for model in scenario.models}


@pytest.mark.parametrize("name", [name for name, s in DECLARED.items() if s.regions])
def test_two_regions_are_refused_with_the_reason_and_the_way_out(name: str) -> None:
    plan = layout(name, resolve(DECLARED[name], 1)[0], 1, Overrides())
    with pytest.raises(UserError, match="two regions") as refused:
        values(plan, PLACE, {})
    assert f"archlab up {name}" in refused.value.remedy


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


@pytest.mark.parametrize(("memory_mib", "most"), [(1024, 6), (256, 4), (64, 2)])
def test_no_scaler_takes_what_a_teams_quota_keeps_for_rollouts(memory_mib: int, most: int) -> None:
    """64 MiB a server; the quota of the cluster is one pod more."""
    scenario = resolve(load_scenario(scenario_folder("five-teams") / "scenario.yaml"), 1)[0]
    cpu = Autoscaling(signal=Signal.CPU, target_milli=250, max_replicas=6)
    own = TeamOverride(isolation=Isolation.POOL, memory_bytes=memory_mib << 20)
    plan = layout("five-teams", scenario, 1, Overrides(teams={"revenue": own}, autoscale={"revenue": cpu}))
    made = values(plan, PLACE, {})
    assert made["units"]["revenue"]["autoscaling"]["maxReplicas"] == most
    assert int(made["teams"]["revenue"]["quota"]["pods"]) == memory_mib // 64 + 1


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
