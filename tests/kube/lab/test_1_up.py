"""What a learner owns after `archlab up ten-models --target kube`."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from typing import Any

import pytest

from archlab.lab import Lab
from archlab.lab.asking import ask, example
from archlab.targets.kube.observation import memory_bytes
from harness import Cli
from lab_pods import NAME, kubectl, objects
from ran import note

ONLINE = (
    *("departure-delay", "missed-connection", "cancellation-risk", "arrival-delay", "flight-time", "delay-recovery"),
    "airport-congestion",
)
BATCH = ("route-segments", "aircraft-reliability", "block-time-buffer")
REQUESTED = 3 << 30


@pytest.mark.parametrize("model", [*ONLINE, *BATCH])
def test_every_model_answers(lab: Lab, model: str) -> None:
    answer = ask(lab, model, example(lab, model, []))
    (value,) = answer["outputs"][0]["data"]
    assert isinstance(value, float)
    assert answer["parameters"]["model_version"] == "1"
    assert answer["parameters"]["features_as_of"]


def test_every_replica_is_ready(cli: Cli, lab: Lab) -> None:
    replicas = cli.json("status")["replicas"]
    assert {r["unit"] for r in replicas} == {"gateway", "registry", "control", "online", "bento", "lookup"}
    assert sum(r["unit"] == "online" for r in replicas) == 2
    assert {r["state"] for r in replicas} == {"ready"}


def test_requests_of_all_pods_fit_three_gibibytes(lab: Lab) -> None:
    requests = [
        container["resources"]["requests"]["memory"]
        for pod in objects("pods", "--selector", "app.kubernetes.io/component!=job")
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
        if container.get("restartPolicy") == "Always" or container in pod["spec"]["containers"]
    ]
    assert len(requests) > 6
    assert sum(map(memory_bytes, requests)) <= REQUESTED


def test_a_model_asked_without_a_token_is_refused(lab: Lab) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{lab.endpoints.gateway}/v2/models/departure-delay", timeout=10)
    assert refused.value.code == 401


def test_no_way_leads_round_the_gateway(lab: Lab) -> None:
    """A pod of the namespace that is neither gateway nor control reaches no server."""
    server = next(p for p in objects("pods", "--selector", "archlab.dev/unit=online"))
    code = (
        "import socket,sys\n"
        "try:\n"
        f" socket.create_connection(({server['status']['podIP']!r}, 8080), 3)\n"
        "except OSError as error:\n"
        " print('closed', error)\n"
        "else:\n"
        " print('open')\n"
    )
    lookup = objects("pods", "--selector", "archlab.dev/unit=lookup")[0]["metadata"]["name"]
    assert kubectl("exec", lookup, "--container", "server", "--", "python", "-c", code).startswith("closed")


def test_helms_own_test_passes(lab: Lab) -> None:
    command = ["helm", "-n", NAME, "test", NAME]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    note(command, NAME)


def test_pods_run_as_nobody_and_hold_no_account_they_do_not_need(lab: Lab) -> None:
    with_account = {
        pod["metadata"]["labels"]["archlab.dev/unit"]
        for pod in objects("pods", "--selector", "app.kubernetes.io/component!=job")
        if any("serviceAccountToken" in json.dumps(volume) for volume in pod["spec"]["volumes"])
    }
    assert with_account == {"gateway", "control"}
    namespace: dict[str, Any] = json.loads(kubectl("get", "namespace", NAME, "--output", "json"))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_key_is_in_helms_values(lab: Lab) -> None:
    shown = subprocess.run(
        ["helm", "get", "all", NAME, "--namespace", NAME], capture_output=True, text=True, check=True
    ).stdout
    assert "PRIVATE KEY" not in shown
    assert "eyJ" not in shown


def test_a_second_up_changes_no_pod(cli: Cli, lab: Lab) -> None:
    before = {p["metadata"]["uid"] for p in objects("pods", "--selector", "app.kubernetes.io/component!=job")}
    cli.ok("up", "ten-models")
    assert {p["metadata"]["uid"] for p in objects("pods", "--selector", "app.kubernetes.io/component!=job")} == before
