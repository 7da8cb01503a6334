"""`archlab cluster`: it comes, says what there is, goes without a trace, and explains what is in the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from archlab.settings import data_root
from archlab.targets.kube.helm import template
from cluster_chart import Installed, archlab, install, try_archlab
from kube_objects import Kubectl, listed, until

KINDS = (
    "daemonset,configmap,serviceaccount,networkpolicy,clusterrole,clusterrolebinding,validatingadmissionpolicy,"
    "validatingadmissionpolicybinding,priorityclass,resourcequota"
)


def ours(kubectl: Kubectl) -> list[str]:
    selector = "app.kubernetes.io/instance=archlab-cluster"
    return kubectl.ok("get", KINDS, "--all-namespaces", "-l", selector, "-o", "name").split()


def test_status_tells_what_there_is(installed: Installed) -> None:
    state = json.loads(archlab("cluster", "status", "--json"))
    assert state["release"]["status"] == "deployed"
    found = {row["resource"]: row for row in state["devices"] if row["allocatable"]}
    assert found["nvidia.com/gpu"]["capacity"] == 2
    assert {row["advertised"] for row in found.values()} == {"emulated"}
    assert len(state["policies"]) == 4
    assert "emulated" in archlab("cluster", "status")


def test_installing_again_changes_nothing(kubectl: Kubectl, installed: Installed) -> None:
    before = installed.plugin_pod()
    install(kubectl, installed.image)
    assert installed.plugin_pod() == before


def test_a_scenarios_devices(kubectl: Kubectl, installed: Installed) -> None:
    try:
        archlab("cluster", "install", "--image", installed.image, "--devices", "ten-models")
        until(lambda: installed.allocatable()["nvidia.com/gpu"] == 1, "the scenario's one card")
    finally:
        install(kubectl, installed.image)


def test_removing_leaves_nothing_behind_and_it_comes_back(kubectl: Kubectl, installed: Installed) -> None:
    name = installed.node()["metadata"]["name"]
    archlab("cluster", "health", name, "l4-0")
    archlab("cluster", "remove")
    try:
        assert ours(kubectl) == []
        assert kubectl.run("get", "namespace", installed.namespace).returncode != 0
        metadata = installed.node()["metadata"]
        assert not [key for key in {**metadata["labels"], **metadata.get("annotations", {})} if "archlab.dev" in key]
        until(lambda: not any(installed.allocatable().values()), "no device to be left")
        assert "nothing to remove" in archlab("cluster", "remove")
    finally:
        install(kubectl, installed.image)
    assert installed.allocatable()["nvidia.com/gpu"] == 2


def test_a_second_release_is_refused(installed: Installed) -> None:
    refused = try_archlab("cluster", "install", "--namespace", "elsewhere")
    assert refused.returncode == 1
    assert "is installed in the namespace archlab-system already; a cluster has one." in refused.stderr


def test_an_image_that_is_not_there_is_named(kubectl: Kubectl, installed: Installed) -> None:
    try:
        refused = try_archlab("cluster", "install", "--image", "archlab-serving:missing")
        assert refused.returncode == 3
        assert "archlab-serving:missing" in refused.stderr
        assert "ErrImagePull" in refused.stderr or "ImagePullBackOff" in refused.stderr
    finally:
        install(kubectl, installed.image)


def test_who_may_not_is_told_what_is_lacking(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    kubectl.ok("-n", namespace, "create", "serviceaccount", "learner")
    token = kubectl.ok("-n", namespace, "create", "token", "learner").strip()
    config = json.loads(kubectl.ok("config", "view", "--minify", "--raw", "-o", "json"))
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    path = tmp_path / "kubeconfig.json"
    path.write_text(json.dumps(config))
    refused = try_archlab("cluster", "install", environment={"KUBECONFIG": str(path)})
    assert refused.returncode == 1
    assert "may not create namespaces, daemonsets, clusterroles" in refused.stderr


def test_a_cluster_that_does_not_answer(kubectl: Kubectl, tmp_path: Path) -> None:
    config = json.loads(kubectl.ok("config", "view", "--minify", "--raw", "-o", "json"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "kubeconfig.json"
    path.write_text(json.dumps(config))
    refused = try_archlab("cluster", "status", environment={"KUBECONFIG": str(path)})
    assert refused.returncode in (1, 3)
    assert "does not answer" in refused.stderr


def test_no_kubeconfig(tmp_path: Path) -> None:
    refused = try_archlab(
        "cluster", "status", environment={"KUBECONFIG": str(tmp_path / "none"), "HOME": str(tmp_path)}
    )
    assert refused.returncode == 1
    assert "kind create cluster" in refused.stderr


@pytest.mark.parametrize("chart", ["archlab-cluster"])
def test_the_api_server_accepts_every_rendered_object(
    kubectl: Kubectl, installed: Installed, namespace: str, chart: str
) -> None:
    rendered = template(data_root("helm") / chart, "other", namespace, {})
    objects = [document for document in yaml.safe_load_all(rendered) if document]
    kubectl.ok("apply", "--dry-run=server", "--validate=strict", "-f", "-", document=listed(*objects))


def test_a_namespace_per_seat_with_its_quota(kubectl: Kubectl, installed: Installed, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    seat = "archlab-test-seat"
    values.write_text(json.dumps({"namespaces": [{"name": seat, "team": "ops", "devices": {"nvidia.com/gpu": 1}}]}))
    install(kubectl, installed.image, "--values", str(values))
    labels = kubectl.get("namespace", seat)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    quota = kubectl.get("-n", seat, "resourcequota", "devices")
    assert quota["spec"]["hard"] == {"requests.nvidia.com/gpu": "1"}
    install(kubectl, installed.image)
    until(lambda: kubectl.run("get", "namespace", seat).returncode != 0, "the namespace to go", 90)
