"""Replay against real servers behind a real Envoy: judged, billed, repeatable, and not to be upset by a kill -9."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import tiny_world
from archlab.files import write_model
from archlab.identity import create_keys
from archlab.settings import LabFolder
from archlab.spec.airline import Scoreboard
from archlab.targets.local import LocalTarget
from archlab.unixhttp import control
from mlflow_server import MlflowServer
from tiny_world import AHEAD, ONLINE, START

pytestmark = pytest.mark.slow
SUPPORT = Path(tiny_world.__file__).parent
SPAN = timedelta(hours=4)


@contextmanager
def made_lab(registry: MlflowServer) -> Iterator[LabFolder]:
    """The tiny world's lab: Envoy, control, two servers of models and one of tables."""
    root = Path(tempfile.mkdtemp(prefix="al-")) / "lab"
    folder = LabFolder(root)
    create_keys(folder)
    registry.trusted_by(folder)
    write_model(folder.scenario, tiny_world.scenario())
    write_model(folder.plan, tiny_world.plan("lab"))
    folder.run.mkdir(mode=0o700)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    target = LocalTarget(folder, port)
    (root / "gateway.url").write_text(f"http://127.0.0.1:{port}")
    try:
        target.apply(tiny_world.plan("lab"), lambda _step, _detail: None)
        folder.socket("registry").symlink_to(registry.socket)
        yield folder
    finally:
        target.destroy()
        shutil.rmtree(root.parent, ignore_errors=True)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    root = tmp_path_factory.mktemp("registry")
    server = MlflowServer(root, root / "s.sock")
    for name, card in tiny_world.BUSINESS.cards.items():
        columns = [c.model_dump() for c in card.columns]
        named = {"archlab.columns": json.dumps(columns), "archlab.keys": json.dumps(card.keys)}
        server.alias(name, "champion", server.register(name, onnx(len(columns)), named))
    yield server
    server.stop()


def onnx(width: int) -> bytes:
    """100 + the sum of the columns, unknown ones counting nothing."""
    weights = numpy_helper.from_array(np.ones((width, 1), dtype=np.float32), "w")
    nodes = [
        helper.make_node("IsNaN", ["features"], ["unknown"]),
        helper.make_node("Where", ["unknown", "zero", "features"], ["known"]),
        helper.make_node("MatMul", ["known", "w"], ["sum"]),
        helper.make_node("Add", ["sum", "b"], ["prediction"]),
    ]
    constants = [
        weights,
        numpy_helper.from_array(np.array([100], dtype=np.float32), "b"),
        numpy_helper.from_array(np.array(0, dtype=np.float32), "zero"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.fixture
def lab(registry: MlflowServer) -> Iterator[LabFolder]:
    with made_lab(registry) as folder:
        release(folder)
        yield folder


def release(folder: LabFolder) -> None:
    """Decide on both models, and publish what is online."""
    import hashlib

    for name, card in tiny_world.BUSINESS.cards.items():
        digest = hashlib.sha256(onnx(len(card.columns))).hexdigest()
        query = {
            "subject": {"user": "learner", "team": "platform", "roles": []},
            "action": "promotion/champion",
            "resource": {"kind": "model-version", "name": name, "version": "1", "digest": digest},
            "evidence": {},
            "time": START.isoformat(),
        }
        decision = {"allow": True, "reasons": [], "engine": "embedded", "bundle_digest": "b" * 64}
        control(folder, "POST", "/decisions", {"query": query, "decision": decision})
    assert not control(folder, "POST", "/releases/reconcile", {})["refused"]


def start(folder: LabFolder, until: datetime) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "ARCHLAB_LAB": str(folder.root), "PYTHONPATH": str(SUPPORT)}
    command = [sys.executable, "-m", "tiny_world", until.isoformat()]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def advance(folder: LabFolder, until: datetime) -> dict[str, Any]:
    """Replay to the end; the result."""
    out, error = start(folder, until).communicate(timeout=120)
    said = [json.loads(line) for line in out.splitlines()]
    assert "result" in said[-1], (said[-1], error.decode())
    found: dict[str, Any] = said[-1]["result"]
    return found


def now(folder: LabFolder) -> datetime:
    return datetime.fromisoformat(control(folder, "GET", "/clock")["now"])


@pytest.fixture(scope="module")
def straight(registry: MlflowServer) -> Iterator[tuple[LabFolder, dict[str, Any]]]:
    """A lab that was advanced in one go, and what the replay reported."""
    with made_lab(registry) as folder:
        release(folder)
        yield folder, advance(folder, START + SPAN)


def test_a_replay_is_judged_and_billed(straight: tuple[LabFolder, dict[str, Any]]) -> None:
    folder, result = straight
    assert (result["now"], result["ticks"], result["requests"]) == ("2013-12-02T12:00:00Z", 8, 240)
    assert result["timeliness"]["missing"] == result["timeliness"]["stale"] == 0
    assert len(control(folder, "GET", "/ticks")) == 8
    clock = control(folder, "GET", "/clock")
    assert (clock["now"], clock["advancing"]) == ("2013-12-02T12:00:00Z", None)
    bill = control(folder, "GET", "/cost?by=model,mode,kind,resource")
    assert bill["agrees"]
    kinds = {(line["model"], line["kind"], line["resource"]) for line in bill["lines"]}
    assert kinds == {
        (ONLINE, "used", "online_cpu"),
        (ONLINE, "idle", "online_cpu"),
        (AHEAD, "used", "lookup"),
        (AHEAD, "used", "batch_cpu"),
        ("", "shared", "materialize_cpu"),
        ("", "shared", "platform_cpu"),
    }
    quantity = {(line["model"], line["resource"]): line["quantity"] for line in bill["lines"] if line["kind"] != "idle"}
    assert quantity[AHEAD, "batch_cpu"] == 5 * 1000  # one an hour from 08:00, and the one due as the clock stops
    assert quantity[AHEAD, "lookup"] == 120 * 200
    assert quantity["", "materialize_cpu"] == 100 + 4 * 10


def test_features_and_tables_are_those_of_the_moment(straight: tuple[LabFolder, dict[str, Any]]) -> None:
    import sqlite3

    folder, _ = straight
    with sqlite3.connect(f"file:{folder.control_db}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT model, subject, asked_us, prediction, features_us, version FROM answers").fetchall()
    assert len(rows) == 240
    for model, subject, asked_us, prediction, features_us, version in rows:
        number = int(subject[1:])
        asked = START + number * tiny_world.EVERY
        assert asked_us == int(asked.timestamp() * 1e6)
        # the tick's start is the last moment that anyone could know of; views and runs are hourly
        tick = asked - (asked - START - timedelta(microseconds=1)) % timedelta(minutes=30) - timedelta(microseconds=1)
        distance, wind, air_time = number % 7, tick.hour, 8
        assert prediction == (100 + distance + wind + air_time if model == ONLINE else 100 + distance)
        as_of = START if model == ONLINE else tick.replace(minute=0)
        assert (features_us, version) == (int(as_of.timestamp() * 1e6), "1")


def test_quality_and_value_come_from_known_labels(straight: tuple[LabFolder, dict[str, Any]]) -> None:
    folder, _ = straight
    board = Scoreboard.model_validate(control(folder, "GET", "/score"))
    by_name = {row.model: row for row in board.models}
    assert (by_name[ONLINE].requests, by_name[ONLINE].labelled) == (120, 90)
    assert by_name[ONLINE].used_nanousd > 0
    assert by_name[ONLINE].idle_nanousd > by_name[ONLINE].used_nanousd
    assert by_name[AHEAD].idle_nanousd == 0


def test_killed_at_any_moment_it_continues_to_the_same_end(
    lab: LabFolder, straight: tuple[LabFolder, dict[str, Any]]
) -> None:
    for number, end in enumerate((signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)):
        before = now(lab)
        running = start(lab, START + SPAN)
        wait(lambda before=before, running=running: now(lab) > before or running.poll() is not None)
        running.send_signal(end)
        out, error = running.communicate(timeout=120)
        reached = now(lab)
        assert before < reached < START + SPAN, (number, error.decode())
        assert (reached - START) % timedelta(minutes=30) == timedelta()
        if end is not signal.SIGKILL:
            assert running.returncode == 1
            assert "are kept" in json.loads(out.splitlines()[-1])["error"]
            assert "Traceback" not in error.decode()
    advance(lab, START + SPAN)
    assert control(lab, "GET", "/ticks") == control(straight[0], "GET", "/ticks")
    mine, theirs = (control(folder, "GET", "/score") for folder in (lab, straight[0]))
    for one, other in zip(mine["models"], theirs["models"], strict=True):
        for name in ("requests", "stale", "missing", "labelled", "quality", "baseline"):
            assert one[name] == other[name]
    assert mine["shared_nanousd"] == theirs["shared_nanousd"]
    assert control(lab, "GET", "/cost")["agrees"]


def test_two_replays_at_once_are_one(lab: LabFolder) -> None:
    first = start(lab, START + SPAN)
    try:
        wait(lambda: bool(control(lab, "GET", "/clock")["advancing"]))
        first.send_signal(signal.SIGSTOP)  # or it might be done before the second one has begun
        out, _ = start(lab, START + SPAN).communicate(timeout=120)
        refused = json.loads(out.splitlines()[-1])
        assert refused["kind"] == "ConflictError"
        assert str(first.pid) in refused["error"]
    finally:
        first.send_signal(signal.SIGCONT)
        first.communicate(timeout=120)
    assert now(lab) == START + SPAN


def test_servers_that_are_gone_make_answers_missing(lab: LabFolder) -> None:
    from archlab.targets.local import LocalTarget as Target

    observed = Target(lab, 0).observe().replicas
    for replica in observed:
        if replica.unit == "lookup" and replica.pid:
            os.kill(replica.pid, signal.SIGSTOP)
    try:
        result = advance(lab, START + timedelta(minutes=30))
    finally:
        for replica in observed:
            if replica.unit == "lookup" and replica.pid:
                os.kill(replica.pid, signal.SIGCONT)
    assert result["timeliness"]["missing"] == result["by_model"][AHEAD] == 15
    board = Scoreboard.model_validate(control(lab, "GET", "/score"))
    assert {row.model: row.missing for row in board.models} == {ONLINE: 0, AHEAD: 15}


def wait(condition: Any) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
