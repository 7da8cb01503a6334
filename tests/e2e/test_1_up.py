"""What a learner owns after `archlab up ten-models`."""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.http as triton

from archlab.lab import Lab
from harness import Cli

pytestmark = pytest.mark.lab

MODELS = (
    *("departure-delay", "missed-connection", "cancellation-risk", "arrival-delay", "flight-time", "delay-recovery"),
    *("airport-congestion", "route-segments", "aircraft-reliability", "block-time-buffer"),
)


def _processes(lab: Lab) -> list[psutil.Process]:
    return [psutil.Process(r.pid) for r in lab.target.observe().replicas if r.pid]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers(cli: Cli, lab: Lab, model: str) -> None:
    shown = cli.json("predict", model)
    (value,) = shown["answer"]["outputs"][0]["data"]
    assert isinstance(value, float)
    assert shown["answer"]["parameters"]["model_version"] == "1"
    assert shown["answer"]["parameters"]["features_as_of"]


def test_every_replica_is_ready(cli: Cli, lab: Lab) -> None:
    replicas = cli.json("status")["replicas"]
    assert {r["unit"] for r in replicas} == {"gateway", "registry", "control", "online", "bento", "lookup"}
    assert sum(r["unit"] == "online" for r in replicas) == 2
    assert {r["state"] for r in replicas} == {"ready"}
    assert all(r["rss_bytes"] > 10_000_000 for r in replicas)


def test_a_second_up_is_quick_and_changes_nothing(cli: Cli, lab: Lab) -> None:
    before = {(r.unit, r.index): r.pid for r in lab.target.observe().replicas}
    shown = cli.ok("up")
    assert {(r.unit, r.index): r.pid for r in lab.target.observe().replicas} == before
    assert "archlab tour" in shown


def test_the_call_in_the_panel_works_when_pasted(cli: Cli, lab: Lab) -> None:
    line = next(line for line in cli.ok("up").splitlines() if line.strip().startswith("curl "))
    answer = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True).stdout
    assert json.loads(answer)["name"] == "departure-delay"


def test_an_unmodified_triton_client_is_answered(lab: Lab) -> None:
    client = triton.InferenceServerClient(lab.endpoints.gateway.removeprefix("http://"))
    headers = {"Authorization": f"Bearer {lab.token()}"}
    assert client.is_model_ready("departure-delay", headers=headers)
    metadata = client.get_model_metadata("departure-delay", headers=headers)
    assert {"flight_id", "origin", "tailnum"} <= set(metadata["parameters"]["keys"])
    origin = triton.InferInput("origin", [1], "BYTES")
    origin.set_data_from_numpy(np.array(["JFK"], dtype=np.object_))
    answer = client.infer("departure-delay", [origin], headers=headers)
    (probability,) = answer.as_numpy("prediction").ravel()
    assert 0 < probability < 1


def test_nothing_listens_beyond_loopback(lab: Lab) -> None:
    listening = [
        (process.name(), connection.laddr.ip)
        for process in _processes(lab)
        for part in (process, *process.children(recursive=True))
        for connection in part.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert not [entry for entry in listening if not ipaddress.ip_address(entry[1]).is_loopback]
    assert {name for name, _ in listening} == {"envoy"}


def test_no_secret_is_in_a_process_list_or_a_log(lab: Lab) -> None:
    token = re.compile(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.")
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        assert not token.search(line), line[:80]
    for log in lab.folder.log.iterdir():
        assert not token.search(log.read_text(errors="replace")), log.name


def test_the_labs_folder_is_private(lab: Lab) -> None:
    assert lab.folder.root.stat().st_mode & 0o077 == 0
    for name in ("keys", "tokens"):
        assert Path(lab.folder.root / name).stat().st_mode & 0o077 == 0


def test_memory_of_all_processes(lab: Lab) -> None:
    total = sum(r.rss_bytes for r in lab.target.observe().replicas)
    assert total < 1_300_000_000, f"{total / 1e6:.0f} MB"
