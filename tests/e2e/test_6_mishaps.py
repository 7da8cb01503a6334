"""What bad input and bad luck get: one message with cause and next step, the documented exit code, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from archlab.lab import Lab
from archlab.targets.supervision import Supervisor
from harness import ARCHLAB, NAME, Cli

pytestmark = pytest.mark.lab


def _refused(cli: Cli, *args: str, code: int = 1) -> str:
    done = cli.run(*args)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("predict", "nonsense"), "There is no model 'nonsense'"),
        (("predict", "departure-delay", "colour=red"), "knows no input 'colour'"),
        (("predict", "departure-delay", "distance=far"), "distance is a number"),
        (("set", "nonsense", "mode", "batch"), "There is no model 'nonsense'"),
        (("set", "departure-delay", "mode", "sometimes"), "mode can't be 'sometimes'"),
        (("set", "departure-delay", "colour", "red"), "There is no setting 'colour'"),
        (("set", "departure-delay", "replicas", "99"), "replicas can't be '99'"),
        (("clock", "advance", "soon"), "is not a span of time"),
        (("clock", "advance", "7m"), "ticks of"),
        (("up", "no-such-scenario", "--lab", "other"), "There is no scenario"),
        (("up", "ten-models", "--lab", NAME, "--seed", "99"), "was made with seed 1, not 99"),
        (("status", "--lab", "nowhere"), "There is no lab called 'nowhere'"),
        (("promote", "departure-delay", "77"), "77"),
        (("batch", "run", "nonsense"), "There is no model"),
        (("answer", "nonsense", "1"), "nonsense"),
        (("logs", "nonsense"), "nonsense"),
        (("token", "--user", "nobody"), "has no user 'nobody'"),
    ],
)
def test_a_mistake_is_named_with_the_next_step(cli: Cli, lab: Lab, args: tuple[str, ...], said: str) -> None:
    assert said in _refused(cli, *args)


def test_a_wrong_command_line_is_usage(cli: Cli) -> None:
    assert cli.run("set").returncode == 2
    assert cli.run("nonsense").returncode == 2


def _infer(lab: Lab, body: Any) -> tuple[int, str]:
    request = urllib.request.Request(
        f"{lab.endpoints.gateway}/v2/models/departure-delay/infer",
        data=body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {lab.token()}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["error"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"inputs": [{"name": "nonsense", "datatype": "FP32", "shape": [1], "data": [1]}]}, "nonsense"),
        ({"inputs": [{"name": "distance", "datatype": "FP32", "shape": [3], "data": [1]}]}, "distance"),
        ({"inputs": [{"name": "distance", "datatype": "BYTES", "shape": [1], "data": ["far"]}]}, "distance"),
        ({"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}, "features"),
        (b"{", ""),
    ],
)
def test_a_wrong_tensor_is_a_400_that_names_it(lab: Lab, body: Any, named: str) -> None:
    status, message = _infer(lab, body)
    assert status == 400
    assert named in message


def test_a_port_in_use_names_its_holder_and_a_way_out(cli: Cli, lab: Lab) -> None:
    cli.ok("down")
    with socket.create_server(("127.0.0.1", lab.identity.gateway_port)):
        said = _refused(cli, "up")
        assert str(lab.identity.gateway_port) in said
        assert "--port" in said
    cli.ok("up")


def test_down_twice_is_harmless_and_leaves_no_process(cli: Cli, lab: Lab) -> None:
    import psutil

    pids = [r.pid for r in lab.target.observe().replicas if r.pid]
    assert "state is kept" in cli.ok("down")
    cli.ok("down")
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert "archlab up" in _refused(cli, "score")
    assert f"Lab {NAME} is down" in _refused(cli, "answer", "cheapest-resilient", "nightly")
    cli.ok("up")


@pytest.mark.parametrize("unit", ["registry", "control", "gateway"])
def test_a_lab_that_is_half_up_is_said_by_grading_and_no_attempt_spent(cli: Cli, lab: Lab, unit: str) -> None:
    before = cli.json("question", "cheapest-resilient")["attempts"]
    Supervisor(lab.folder.socket("supervisor")).stop(f"{unit}-0")
    try:
        said = _refused(cli, "answer", "cheapest-resilient", "nightly")
        assert f"half up: {unit}-0 is stopped" in said
        assert "archlab up" in said
    finally:
        cli.ok("up")
    assert cli.json("question", "cheapest-resilient")["attempts"] == before


def test_an_up_that_was_stopped_can_be_run_again(cli: Cli, lab: Lab) -> None:
    cli.ok("down")
    with subprocess.Popen(
        [ARCHLAB, "up"], env=cli.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        pause = threading.Event()
        while not lab.folder.socket("supervisor").exists() and running.poll() is None:
            pause.wait(0.01)
        running.send_signal(signal.SIGINT)
        _, stderr = running.communicate(timeout=120)
        assert b"Traceback" not in stderr
    cli.ok("up")
    assert cli.json("predict", "departure-delay")["answer"]["outputs"]


@pytest.mark.parametrize("name", ["plan.json", "scenario.json", "known_columns.json", "policy/bundle.json"])
def test_a_damaged_file_is_made_again_by_up(cli: Cli, lab: Lab, name: str) -> None:
    (lab.folder.root / name).write_text("{ half")
    cli.ok("up")
    assert cli.json("predict", "departure-delay")["answer"]["outputs"]


def test_a_damaged_identity_says_what_to_do(cli: Cli, lab: Lab) -> None:
    path = lab.folder.identity
    whole = path.read_bytes()
    path.write_text("{ half")
    try:
        assert "--purge" in _refused(cli, "status")
    finally:
        path.write_bytes(whole)


def test_a_killed_unit_is_started_again(cli: Cli, lab: Lab) -> None:
    for unit in ("control", "registry", "gateway"):
        victim = next(r for r in lab.target.observe().replicas if r.unit == unit)
        assert victim.pid
        os.kill(victim.pid, signal.SIGKILL)
        cli.ok("up")
        again = next(r for r in lab.target.observe().replicas if r.unit == unit)
        assert again.state == "ready"
        assert again.pid != victim.pid
    assert Path(lab.folder.control_db).exists()
    assert "whole" in cli.ok("policy", "verify")
