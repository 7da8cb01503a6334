"""Drills whose regions are on a cluster: what of it can be said without one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from archlab.drills import experiments, front
from archlab.drills.cluster import namespaces, values
from archlab.drills.host import runs
from archlab.drills.run import run, runs_on_cluster
from archlab.errors import UserError
from archlab.gateway.program import envoy_program
from archlab.spec.drill import Posture
from archlab.spec.lab import KubePlace
from archlab.targets.kube.api import Object
from harness import Cli

PLACE = KubePlace(kubeconfig="/nowhere", namespace="drill", image="registry.local:5000/archlab:1", serving_image="s:1")


def test_drills_with_a_model_or_a_registry_are_refused_with_those_that_run_there() -> None:
    known = {name: runs_on_cluster(experiments.load(name)) for name in experiments.names()}
    assert sorted(name for name, there in known.items() if not there) == [
        "bad-release",
        "corrupt-artifact",
        "policy-engine-down",
    ]
    with pytest.raises(UserError, match="Drill bad-release has a model") as refused:
        run("bad-release", Posture(), lambda *_: None, place=PLACE)
    assert "kill-region" in refused.value.remedy


def test_a_surprise_is_the_same_here_and_on_a_cluster() -> None:
    drills = [experiments.load(name) for name in experiments.names()]
    assert all(runs_on_cluster(drill) for drill in drills if drill.surprise)


def test_the_list_says_where_a_drillruns(tmp_path: Path) -> None:
    targets = {entry["drill"]: entry["targets"] for entry in Cli(tmp_path).json("drill", "list")}
    assert targets["kill-region"] == ["local", "kube"]
    assert targets["bad-release"] == ["local"]


def test_an_image_of_a_registry_with_a_port_is_named_in_full() -> None:
    made = values(PLACE, {"east": "10.0.0.1", "west": "10.0.0.2"}, "gateway")
    assert made["image"] == {"repository": "registry.local:5000/archlab", "tag": "1"}
    assert made["regions"]["west"] == {"namespace": "drill-west", "address": "10.0.0.2"}
    assert namespaces("drill") == {"east": "drill-east", "west": "drill-west"}


def test_envoy_takes_the_gateways_configuration(tmp_path: Path) -> None:
    config = json.loads(front.elsewhere(["10.0.0.1", "10.0.0.2"], 8080))
    config["admin"]["address"]["pipe"]["path"] = str(tmp_path / "admin.sock")
    (tmp_path / "envoy.json").write_text(json.dumps(config))
    command = [str(envoy_program()), "--mode", "validate", "-c", str(tmp_path / "envoy.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_pod_counts_as_dead_when_its_containers_are_confirmed_to_have_ended() -> None:
    ended: Object = {"state": {"terminated": {}}}
    going: Object = {"state": {"running": {}}}

    def pod(*states: Object, node: str = "a", doomed: bool = True) -> Object:
        metadata = {"deletionTimestamp": "now"} if doomed else {}
        spec = {"nodeName": node} if node else {}
        return {"metadata": metadata, "spec": spec, "status": {"containerStatuses": list(states)}}

    assert runs(pod(ended, going))
    assert runs(pod()), "nobody has said anything of it yet"
    assert not runs(pod(ended))
    assert not runs(pod(node="")), "it was never placed"
    assert runs(pod(node="", doomed=False)), "it may be placed yet"
    assert runs(pod(ended, doomed=False)), "its container may be started again"
