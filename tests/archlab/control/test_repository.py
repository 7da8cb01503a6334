"""The model repository of a lab: merged answers, and an unmodified Triton client through a real gateway."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from onnx import TensorProto, helper, numpy_helper
from tests.archlab_serving.signatures import signed_model
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from archlab.addresses import Address, Replica
from archlab.control import lineage
from archlab.control.feed import Feed
from archlab.control.repository import ModelState, merge
from archlab.control.store import Store
from archlab.files import write_model
from archlab.gateway.configuration import GatewayFiles, configuration, write
from archlab.gateway.program import envoy_program
from archlab.gateway.rollout import roll_out
from archlab.identity import PLATFORM, mint
from archlab.settings import LabFolder
from archlab.spec.plan import Backend, Plan, Role, Route, Unit
from archlab.spec.release import Column, Release, ReleaseFeed, ReleaseKind
from control_process import VIEWER, Control

ONE, TWO, OTHER = (
    Replica(unit, number, unit, Address(f"{unit}-{number}"))
    for unit, number in (("online", "0"), ("online", "1"), ("lookup", "0"))
)
DEADLINE_S = 120.0


def release(model: str, sha256: str = "ab" * 32, pool: str = "online", model_signature: str = "") -> Release:
    return Release(
        id=f"{model}:1",
        model=model,
        version="1",
        team="operations",
        kind=ReleaseKind.ONNX,
        pool=pool,
        sha256=sha256,
        path=f"blobs/{sha256}",
        size_bytes=1,
        decision_id="d-1",
        decision_sha256=sha256,
        source_sha256=sha256,
        columns=(Column(name="distance", source="request"),),
        keys=(),
        created=datetime(2013, 6, 1, tzinfo=UTC),
        signature="",
        model_signature=model_signature,
    )


def says(state: str, reason: str = "", model: str = "delay") -> dict[tuple[str, str], ModelState]:
    return {(model, "1"): ModelState(model, "1", state, reason)}


def merged(answers: dict[Replica, Any]) -> ModelState:
    (state,) = merge(answers, ReleaseFeed(sequence=1, releases=(release("delay"),)))
    return state


def test_ready_is_what_every_replica_of_the_pool_says() -> None:
    assert merged({ONE: says("READY"), TWO: says("READY"), OTHER: {}}) == ("delay", "1", "READY", "")


@pytest.mark.parametrize(
    ("second", "state", "reason"),
    [
        (says("UNAVAILABLE", "unloaded by an operator"), "UNAVAILABLE", "online-1: unloaded by an operator"),
        (says("LOADING"), "LOADING", ""),
        (says("READY", "not in memory"), "READY", "online-1: not in memory"),
        ({}, "UNAVAILABLE", "online-1: has not read this release yet"),
        ("does not answer", "UNAVAILABLE", "online-1: does not answer"),
    ],
)
def test_otherwise_the_worst_state_counts_and_names_the_replica(second: Any, state: str, reason: str) -> None:
    assert merged({ONE: says("READY"), TWO: second}) == ("delay", "1", state, reason)


def test_a_pool_without_replicas_is_unavailable() -> None:
    assert merged({OTHER: says("READY")}) == ("delay", "1", "UNAVAILABLE", "no replica of pool online is planned")


def test_only_an_operator_may_ask(idle: Control) -> None:
    with idle.client(VIEWER) as client:
        for path in ("index", "models/delay/load", "models/delay/unload"):
            answer = client.post(f"/repository/{path}")
            assert answer.status_code == 403
            assert "lacks the role operator" in answer.json()["error"]


def test_an_unknown_model_is_404(idle: Control) -> None:
    with idle.client() as client:
        answer = client.post("/repository/models/gate/load")
    assert answer.status_code == 404
    assert "No release of a model 'gate'" in answer.json()["error"]


def doubling() -> bytes:
    """`prediction = 2 × features`."""
    nodes = [helper.make_node("MatMul", ["features", "w"], ["prediction"])]
    weights = [numpy_helper.from_array(np.array([[2.0]], dtype=np.float32), "w")]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 1])
    prediction = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "twice", [features], [prediction], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline, pause = time.monotonic() + DEADLINE_S, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, what
        pause.wait(0.02)


@dataclass
class SmallLab:
    """Control, two servers and a gateway, as processes."""

    folder: LabFolder
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def client(self, token: str) -> TokenClient:
        return TokenClient(f"127.0.0.1:{self.port}", token)


class TokenClient:
    """An unmodified Triton client whose calls carry a token."""

    def __init__(self, address: str, token: str) -> None:
        self.headers = {"Authorization": f"Bearer {token}"}
        self.triton = triton.InferenceServerClient(address, network_timeout=60)

    def states(self) -> dict[str, tuple[str, str]]:
        found = self.triton.get_model_repository_index(headers=self.headers)
        return {state["name"]: (state["state"], state["reason"]) for state in found}

    def ask(self) -> float:
        tensor = triton.InferInput("features", [1, 1], "FP32")
        tensor.set_data_from_numpy(np.array([[21.0]], dtype=np.float32))
        return float(self.triton.infer("twice", [tensor], headers=self.headers).as_numpy("prediction")[0, 0])


def small_plan(lab: str) -> Plan:
    single = [Unit(name=r.value, role=r, replicas=1) for r in (Role.GATEWAY, Role.REGISTRY, Role.CONTROL)]
    return Plan(
        lab=lab,
        scenario="test",
        seed=1,
        units=(*single, Unit(name="online", role=Role.SERVER, replicas=2, pool="online", serves="onnx")),
        routes=(Route(model="twice", team="operations", backends=(Backend(unit="online", replicas=2, weight=100),)),),
        reservations=(),
    )


def publish(folder: LabFolder) -> None:
    store = Store(folder.control_db)
    lineage.prepare(store)
    feed = Feed(folder, store)
    digest = feed.keep(doubling())
    key = load_pem_private_key((folder.keys / "signing.pem").read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    feed.publish([release("twice", digest, model_signature=signed_model({"model.onnx": digest}, key))])
    store.close()


def serve(folder: LabFolder, number: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "ARCHLAB_SERVING_UNIT": "online",
        "ARCHLAB_SERVING_REPLICA": str(number),
        "ARCHLAB_SERVING_POOL": "online",
        "ARCHLAB_SERVING_FEED": str(folder.releases / "feed.json"),
        "ARCHLAB_SERVING_PUBLIC_KEY": str(folder.keys / "release.pub.pem"),
        "ARCHLAB_SERVING_TRUSTED_KEYS": str(folder.keys / "trusted.pem"),
    }
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "archlab_serving.app:app",
        "--uds",
        str(folder.socket(f"online-{number}")),
    ]
    with (folder.root / f"online-{number}.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


@pytest.fixture
def lab(folder: LabFolder) -> Iterator[SmallLab]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        made = SmallLab(folder, int(probe.getsockname()[1]))
    folder.log.mkdir()
    plan = small_plan(folder.name)
    write_model(folder.plan, plan)
    publish(folder)
    files, jwks = GatewayFiles.of(folder), (folder.keys / "jwks.json").read_text()
    config = configuration(plan, folder, made.port, jwks)
    write(config, files)
    for number in range(2):
        made.processes[f"online-{number}"] = serve(folder, number)
    with (folder.log / "envoy.log").open("wb") as log:
        command = [str(envoy_program()), "-c", str(files.bootstrap), "--concurrency", "1", "--disable-hot-restart"]
        made.processes["envoy"] = subprocess.Popen(command, stdout=log, stderr=log)
    control = Control(folder).start()
    try:
        roll_out(config, files)
        wait_for(lambda: ready(made), "the lab to answer")
        yield made
    finally:
        control.stop()
        for process in made.processes.values():
            process.kill()
            process.wait()


def ready(lab: SmallLab) -> bool:
    client = lab.client(mint(lab.folder, PLATFORM))
    try:
        return client.ask() == 42.0 and client.states() == {"twice": ("READY", "")}
    except (InferenceServerException, OSError, httpx.HTTPError):
        return False


def test_an_operator_with_an_unmodified_client_unloads_and_loads_on_every_replica(lab: SmallLab) -> None:
    operator = lab.client(mint(lab.folder, PLATFORM))
    operator.triton.unload_model("twice", headers=operator.headers, unload_dependents=True)
    state, reason = operator.states()["twice"]
    assert state == "UNAVAILABLE"
    assert reason == "online-0: unloaded by an operator; online-1: unloaded by an operator"
    with pytest.raises(InferenceServerException, match="unloaded by an operator"):
        operator.ask()
    operator.triton.load_model("twice", headers=operator.headers)
    assert operator.states() == {"twice": ("READY", "")}
    assert operator.ask() == 42.0


def test_others_and_other_models_are_refused(lab: SmallLab) -> None:
    viewer, operator = lab.client(mint(lab.folder, VIEWER)), lab.client(mint(lab.folder, PLATFORM))
    for call in (viewer.triton.load_model, viewer.triton.unload_model):
        with pytest.raises(InferenceServerException, match="lacks the role operator") as caught:
            call("twice", headers=viewer.headers)
        assert caught.value.status() == "403"
    with pytest.raises(InferenceServerException, match="lacks the role operator"):
        viewer.states()
    with pytest.raises(InferenceServerException, match="signed releases only"):
        operator.triton.load_model("twice", headers=operator.headers, config="{}")
    assert viewer.ask() == 42.0


def test_a_replica_that_does_not_answer_is_named(lab: SmallLab) -> None:
    operator = lab.client(mint(lab.folder, PLATFORM))
    lab.processes["online-1"].kill()
    lab.processes["online-1"].wait()
    state, reason = operator.states()["twice"]
    assert state == "UNAVAILABLE"
    assert reason == "online-1: does not answer"
    with pytest.raises(InferenceServerException, match="not loaded everywhere: online-1"):
        operator.triton.load_model("twice", headers=operator.headers)
