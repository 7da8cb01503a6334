"""Chart archlab-drill: what a region's pod is and may do, and that its values are those that a drill makes."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import yaml
from tests.charts.test_charts import render

from archlab.drills.agent import AGENT_PORT, DATABASE_PORT, SERVICE_PORT
from archlab.drills.cluster import service, values
from archlab.settings import data_root
from archlab.spec.lab import KubePlace

CHART = data_root("helm") / "archlab-drill"
ADDRESSES = {"east": "10.96.0.101", "west": "10.96.0.102"}
VALUES = CHART / "ci" / "two-regions-values.yaml"
EAST, WEST = "archlab-drill-east", "archlab-drill-west"
Rendered = dict[tuple[str, str, str], dict[str, Any]]

needs_helm = pytest.mark.skipif(shutil.which("helm") is None, reason="there is no helm program on PATH")


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    """By namespace, kind and name."""
    found = render(CHART, VALUES)
    return {(o["metadata"].get("namespace", ""), o["kind"], o["metadata"]["name"]): o for o in found}


def test_the_values_in_ci_are_those_that_a_drill_makes() -> None:
    place = KubePlace(
        kubeconfig="", namespace="archlab-drill", image="archlab:0.1.0", serving_image="", node_port=30_900
    )
    assert yaml.safe_load(VALUES.read_text()) == values(place, ADDRESSES, "gateway")


@needs_helm
def test_a_pod_has_no_power_and_a_region_dies_with_its_agent(rendered: Rendered) -> None:
    pods = [o["spec"]["template"]["spec"] for (_, kind, _), o in rendered.items() if kind == "Deployment"]
    assert len(pods) == 3
    for pod in pods:
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    (region,) = rendered[EAST, "Deployment", "region"]["spec"]["template"]["spec"]["containers"]
    assert "lifecycle" not in region, "nothing happens in order when a region dies"
    assert rendered[EAST, "Deployment", "region"]["spec"]["strategy"] == {"type": "Recreate"}


@needs_helm
@pytest.mark.parametrize(("own", "other"), [(EAST, WEST), (WEST, EAST)])
def test_a_region_reaches_the_others_database_and_nothing_else(rendered: Rendered, own: str, other: str) -> None:
    (container,) = rendered[own, "Deployment", "region"]["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment["ARCHLAB_DRILL_OTHER"] == f"{ADDRESSES[other.rpartition('-')[2]]}:{DATABASE_PORT}"
    (out,) = rendered[own, "NetworkPolicy", "region"]["spec"]["egress"]
    (peer,) = out["to"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": other}
    assert out["ports"] == [{"port": DATABASE_PORT}]
    assert {entry["name"]: entry["containerPort"] for entry in container["ports"]} == {
        "agent": AGENT_PORT,
        "service": SERVICE_PORT,
        "database": DATABASE_PORT,
    }


@needs_helm
def test_the_services_that_a_drill_makes_select_the_charts_pods(rendered: Rendered) -> None:
    asked = {**service("region")["spec"]["selector"], "app.kubernetes.io/instance": "archlab"}
    for namespace in (EAST, WEST):
        labels = rendered[namespace, "Deployment", "region"]["spec"]["template"]["metadata"]["labels"]
        assert asked.items() <= labels.items()


@needs_helm
def test_the_gateway_asks_east_first_and_goes_by_what_regions_say(rendered: Rendered) -> None:
    config = json.loads(rendered["", "ConfigMap", "gateway"]["data"]["envoy.json"])
    (cluster,) = config["static_resources"]["clusters"]
    hosts = [
        (group["priority"], entry["endpoint"]["address"]["socket_address"]["address"])
        for group in cluster["load_assignment"]["endpoints"]
        for entry in group["lb_endpoints"]
    ]
    assert hosts == [(0, ADDRESSES["east"]), (1, ADDRESSES["west"])]
    assert cluster["health_checks"][0]["http_health_check"]["path"] == "/primary"


@needs_helm
def test_no_secret_is_in_the_values_or_manifests(rendered: Rendered) -> None:
    assert not [key for key in rendered if key[1] == "Secret"]
