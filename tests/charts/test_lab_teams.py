"""Chart archlab: what a team has in a namespace of its own, and what it may there."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from tests.charts.test_charts import helm, render

from archlab.settings import data_root

CHART = data_root("helm") / "archlab"
HOME, TEAM = "archlab-test", "archlab-test-revenue"
"""Namespaces of the lab and of a team with a pool of its own."""
TEAMS = {"network-planning", "operations", "customer-care", "maintenance", "revenue"}

pytestmark = pytest.mark.skipif(shutil.which("helm") is None, reason="there is no helm program on PATH")


def rendered(values: str = "five-teams-apart", *more: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    found = render(CHART, CHART / "ci" / f"{values}-values.yaml", *more)
    return {(d["metadata"].get("namespace", HOME), d["kind"], d["metadata"]["name"]): d for d in found}


def subjects(binding: dict[str, Any]) -> set[tuple[str, str]]:
    return {(subject["namespace"], subject["name"]) for subject in binding["subjects"]}


def test_a_pool_of_a_teams_own_is_in_its_namespace_with_all_that_belongs_to_it() -> None:
    on = ("--set", "units.revenue.autoscaling.enabled=true", "--set", "units.revenue.autoscaling.maxReplicas=4")
    found = rendered("five-teams-apart", *on)
    own = ("Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler")
    assert all((TEAM, kind, "revenue") in found for kind in own)
    assert {name for place, kind, name in found if kind == "Deployment" and place == HOME} == {
        *("gateway", "registry", "control"),
        *("online", "lookup"),
    }


def test_its_servers_ask_the_labs_control_and_hold_no_private_key() -> None:
    (sync, server, volumes) = _pod(rendered()[TEAM, "Deployment", "revenue"])
    assert {"name": "ARCHLAB_SYNC_CONTROL", "value": f"http://control.{HOME}:8000"} in sync["env"]
    assert server["env"][0] == {"name": "ARCHLAB_SERVING_UNIT", "value": "revenue"}
    mounted = {item["path"] for v in volumes if "secret" in v for item in v["secret"]["items"]}
    assert mounted == {"release.pub.pem", "trusted.pem", "replica.token"}
    (shared, *_) = _pod(rendered()[HOME, "Deployment", "online"])
    assert {"name": "ARCHLAB_SYNC_CONTROL", "value": "http://control:8000"} in shared["env"]


def _pod(deployment: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    spec = deployment["spec"]["template"]["spec"]
    return spec["initContainers"][0], spec["containers"][0], spec["volumes"]


@pytest.mark.parametrize("values", ["five-teams", "five-teams-apart"])
def test_every_team_has_its_quota_accounts_and_policies_whether_anything_runs_or_not(values: str) -> None:
    found = rendered(values)
    for team in TEAMS:
        place = f"{HOME}-{team}"
        kinds = {(kind, name) for namespace, kind, name in found if namespace == place}
        assert {("ResourceQuota", "team"), ("LimitRange", "team"), ("Role", "members")} <= kinds
        assert {("NetworkPolicy", "default-deny"), ("NetworkPolicy", "servers")} <= kinds
        assert {name for kind, name in kinds if kind == "ServiceAccount"} > {"workload"}
        assert found[place, "NetworkPolicy", "default-deny"]["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_the_quota_is_what_the_values_say_and_without_one_there_is_none() -> None:
    hard = rendered()[TEAM, "ResourceQuota", "team"]["spec"]["hard"]
    assert hard["pods"] == "5"
    assert hard["requests.nvidia.com/gpu"] == "1"
    none = rendered("five-teams-apart", "--set-json", 'teams.revenue={"members": {}}')
    assert (TEAM, "ResourceQuota", "team") not in none
    assert (TEAM, "RoleBinding", "members") not in none
    assert (TEAM, "LimitRange", "team") in none


def test_members_read_developers_replace_pods_and_nobody_gets_secrets_or_a_shell() -> None:
    found = rendered()
    assert subjects(found[TEAM, "RoleBinding", "members"]) == {
        (TEAM, name) for name in ("revenue-lead", "revenue-engineer", "revenue-caller")
    }
    assert subjects(found[TEAM, "RoleBinding", "developers"]) == {
        (TEAM, name) for name in ("revenue-lead", "revenue-engineer")
    }
    rules = [(role, rule) for role in ("members", "developers") for rule in found[TEAM, "Role", role]["rules"]]
    asked = {resource for _, rule in rules for resource in rule["resources"]}
    assert not {"secrets", "pods/exec", "pods/portforward", "configmaps", "*"} & asked
    changing = {(role, verb) for role, rule in rules for verb in rule["verbs"] if verb not in ("get", "list", "watch")}
    assert changing == {("developers", "delete")}


def test_gateway_and_control_may_look_for_pods_there_and_control_may_scale_only_what_it_scales() -> None:
    plain = rendered()
    assert subjects(plain[TEAM, "RoleBinding", "read-endpoints"]) == {(HOME, "gateway"), (HOME, "control")}
    assert not [key for key in plain if key[1:] == ("Role", "scale-pools")]
    by = "units.revenue.autoscaling"
    on = ("--set", f"{by}.enabled=true", "--set", f"{by}.maxReplicas=4", "--set", f"{by}.by=control")
    found = rendered("five-teams-apart", *on)
    assert [key for key in found if key[1:] == ("Role", "scale-pools")] == [(TEAM, "Role", "scale-pools")]
    assert found[TEAM, "Role", "scale-pools"]["rules"] == [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments/scale"],
            "resourceNames": ["revenue"],
            "verbs": ["get", "patch"],
        }
    ]
    assert subjects(found[TEAM, "RoleBinding", "scale-pools"]) == {(HOME, "control")}
    powers = {rule for key, role in found.items() if key[1] == "Role" for r in role["rules"] for rule in r["verbs"]}
    assert powers == {"get", "list", "watch", "patch", "delete"}
    assert not {"ClusterRole", "ClusterRoleBinding"} & {kind for _, kind, _ in found}


def test_only_the_labs_gateway_and_control_reach_a_teams_servers() -> None:
    found = rendered()
    spec = found[TEAM, "NetworkPolicy", "servers"]["spec"]
    lab = {"matchLabels": {"kubernetes.io/metadata.name": HOME}}
    (rule,) = spec["ingress"]
    assert [peer["namespaceSelector"] for peer in rule["from"]] == [lab, lab]
    units = {peer["podSelector"]["matchLabels"]["archlab.dev/unit"] for peer in rule["from"]}
    assert units == {"gateway", "control"}
    (out,) = spec["egress"]
    assert [peer["podSelector"]["matchLabels"]["archlab.dev/unit"] for peer in out["to"]] == ["control"]
    for part, side, peers in (("gateway", "egress", "to"), ("control", "egress", "to"), ("control", "ingress", "from")):
        allowed = found[HOME, "NetworkPolicy", part]["spec"][side][0][peers]
        (beyond,) = [peer for peer in allowed if "namespaceSelector" in peer]
        (term,) = beyond["namespaceSelector"]["matchExpressions"]
        assert set(term["values"]) == {f"{HOME}-{team}" for team in TEAMS}
    servers = found[HOME, "NetworkPolicy", "servers"]["spec"]["podSelector"]["matchExpressions"][0]["values"]
    assert servers == ["lookup", "online"]


def test_without_teams_everything_is_in_the_labs_namespace() -> None:
    found = rendered("ten-models")
    assert {place for place, _, _ in found} == {HOME}
    assert found[HOME, "NetworkPolicy", "control"]["spec"]["ingress"][0]["from"] == [{"podSelector": {}}]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("teams.platform.members={}", "platform"),
        ("teams.Ops.members={}", "Ops"),
        ('teams.ops={"members": {"workload": ["viewer"]}}', "workload"),
        ('teams.ops={"members": {}, "quota": {"pods": "many"}}', "quota"),
        ('teams.ops={"quota": {}}', "members"),
    ],
)
def test_a_team_that_cannot_be_is_named(value: str, said: str) -> None:
    done = helm("lint", "--strict", str(CHART), "--set-json", value)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
