"""Teams' namespaces: names, quotas, and plans that a quota would refuse."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from archlab.errors import PlacementError, UserError
from archlab.plan.inventory import inventory
from archlab.plan.placement import Need, place
from archlab.settings import data_root
from archlab.spec.devices import MIB, DeclaredDevice, DeclaredSlices, Gain
from archlab.spec.plan import Plan, Role, Tenant, Unit
from archlab.targets.kube.tenants import check, namespace, quota, team_values

CHART: dict[str, Any] = {
    "servers": {
        "resources": {"requests": {"cpu": "50m", "memory": "160Mi"}},
        "bentoResources": {"requests": {"cpu": "0.1", "memory": "288Mi"}},
    },
    "sidecar": {"resources": {"requests": {"cpu": "10m", "memory": "32Mi"}}},
}
L4 = DeclaredDevice(name="l4-0", device_class="nvidia-l4", product="NVIDIA L4", memory_mib=2_000)
SLICES = (DeclaredSlices(profile="1g.5gb", memory_mib=4864, count=2),)
A100 = DeclaredDevice(name="a100-0", device_class="a100", product="NVIDIA A100", memory_mib=40_960, slices=SLICES)
GAINS = Gain(gains=True, basis="measured", because="it multiplies matrices")


def plan(*tenants: Tenant, runtime: str = "uvicorn", cards: tuple[DeclaredDevice, ...] = (), holds: int = 0) -> Plan:
    own = Unit(name="revenue", role=Role.SERVER, replicas=2, pool="revenue", runtime=runtime, team="revenue")
    needs = [Need(f"m{n}", "revenue", "revenue", 1, 300 * MIB, "on", gain=GAINS) for n in range(holds)]
    devices = place(needs, inventory(cards, ())) if cards else None
    return Plan(
        lab="l", scenario="s", seed=1, units=(own,), routes=(), reservations=(), devices=devices, tenants=tenants
    )


def test_a_name_that_no_cluster_takes_is_refused_with_its_length() -> None:
    assert namespace("five-teams", "revenue") == "five-teams-revenue"
    assert len(namespace("a" * 40, "b" * 22)) == 63
    with pytest.raises(UserError, match="64 characters"):
        namespace("a" * 40, "b" * 23)


def test_a_quota_is_as_many_pods_as_the_team_may_have_and_one_for_rollouts() -> None:
    tenant = Tenant(team="revenue", replicas=4)
    assert quota(tenant, plan(tenant), CHART) == {
        "pods": "5",
        "requests.cpu": "300m",
        "requests.memory": f"{5 * 192}Mi",
    }
    bento = quota(tenant, plan(tenant, runtime="bento"), CHART)
    assert (bento["requests.cpu"], bento["requests.memory"]) == ("550m", f"{5 * 320}Mi")


@pytest.mark.parametrize(("name", "why"), [("default", "in every namespace"), ("workload", "servers run as")])
def test_no_member_gets_an_account_that_is_somebody_elses(name: str, why: str) -> None:
    members: dict[str, tuple[str, ...]] = {"lead": ("approver",), name: ("developer",)}
    with pytest.raises(UserError, match=f"user '{name}' of team revenue.*{why}") as refused:
        team_values(plan(Tenant(team="revenue", members=members)), CHART)
    assert "scenario.yaml" in refused.value.remedy
    del members[name]
    assert team_values(plan(Tenant(team="revenue", members=members)), CHART)["revenue"]["members"] == {
        "lead": ["approver"]
    }


def test_what_the_learner_gives_the_pods_is_counted() -> None:
    larger = {"units": {"revenue": {"resources": {"requests": {"cpu": 1, "memory": "1G"}}}}}
    found = quota(Tenant(team="revenue", replicas=1), plan(), {**CHART, **larger})
    assert (found["requests.cpu"], found["requests.memory"]) == ("2020m", f"{-(-2 * (10**9 + 32 * MIB) // MIB)}Mi")


def test_without_limits_there_is_no_quota_and_without_members_no_account() -> None:
    assert team_values(plan(Tenant(team="revenue")), CHART) == {"revenue": {"members": {}, "quota": {}}}


def test_devices_are_limited_under_every_name_that_the_plans_devices_have() -> None:
    tenant = Tenant(team="revenue", devices=1)
    assert quota(tenant, plan(tenant), CHART) == {"requests.nvidia.com/gpu": "1"}
    both = {"requests.nvidia.com/gpu": "1", "requests.nvidia.com/mig-1g.5gb": "1"}
    assert quota(tenant, plan(tenant, cards=(L4, A100)), CHART) == both
    assert quota(tenant, plan(tenant, cards=(A100,)), CHART) == {"requests.nvidia.com/mig-1g.5gb": "1"}


def test_pods_that_would_hold_more_devices_than_the_team_may_are_refused_before_anything_changes() -> None:
    check(plan(Tenant(team="revenue", devices=2), cards=(L4,), holds=1))
    check(plan(Tenant(team="revenue"), cards=(L4,), holds=1))
    with pytest.raises(PlacementError) as refused:
        check(plan(Tenant(team="revenue", devices=1), cards=(L4,), holds=1))
    assert "Each of the 2 pods of revenue would hold 1 nvidia.com/gpu: 2 in all" in refused.value.message
    assert "archlab quota" in refused.value.remedy


def test_the_charts_own_values_say_what_pods_ask_for_and_nonsense_is_named() -> None:
    own = yaml.safe_load((data_root("helm") / "archlab" / "values.yaml").read_text())
    assert quota(Tenant(team="revenue", replicas=0), plan(), own)["requests.memory"] == "192Mi"
    with pytest.raises(UserError, match=r"values of the chart"):
        quota(Tenant(team="revenue", replicas=0), plan(), {"servers": None})
