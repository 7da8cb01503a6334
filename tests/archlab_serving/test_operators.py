"""The model repository extension of one server: index, load and unload, for operators only."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, wait_for
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

OPERATOR = {"x-archlab-scope": "viewer operator"}
ZEROS = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 5], "data": [0.0] * 5}]}
INFER = "/v2/models/delay/infer"
PATHS = ("index", "models/delay/load", "models/delay/unload")


@pytest.fixture
def server(lab: Lab, launch: Launcher) -> RunningServer:
    lab.publish(lab.onnx("1", bias=1), lab.onnx("2", bias=2, role="challenger"), lab.table({"N1": 0.25}))
    return launch.start()


def call(server: RunningServer, path: str, json: object = None, **headers: str) -> httpx.Response:
    return server.client.post(f"/v2/repository/{path}", json=json, headers=headers or OPERATOR)


def states(server: RunningServer) -> dict[tuple[str, str], tuple[str, str]]:
    found = call(server, "index").raise_for_status().json()
    return {(state["name"], state["version"]): (state["state"], state["reason"]) for state in found}


def answers(server: RunningServer, value: float | None) -> Callable[[], bool]:
    def asked() -> bool:
        reply = server.client.post(INFER, json=ZEROS)
        return reply.status_code == 503 if value is None else reply.json()["outputs"][0]["data"] == [value]

    return asked


@pytest.mark.parametrize("headers", [{}, {"x-archlab-scope": ""}, {"x-archlab-scope": "viewer operators"}])
def test_others_are_told_what_they_lack(server: RunningServer, headers: dict[str, str]) -> None:
    for path in PATHS:
        reply = server.client.post(f"/v2/repository/{path}", headers=headers)
        assert reply.status_code == 403
        assert "needs the role 'operator'" in reply.json()["error"]
    assert answers(server, 1)()


def test_the_index_has_every_version(server: RunningServer) -> None:
    ready = ("READY", "")
    assert states(server) == {("delay", "1"): ready, ("delay", "2"): ready, ("reliability", "1"): ready}


def test_an_unloaded_model_answers_503_until_it_is_loaded(server: RunningServer, lab: Lab) -> None:
    assert call(server, "models/delay/unload", {"parameters": {"unload_dependents": True}}).status_code == 200
    reply = server.client.post(INFER, json=ZEROS)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert "unloaded by an operator" in reply.json()["error"]
    assert server.client.get("/v2/models/delay/ready").status_code == 503
    gone = ("UNAVAILABLE", "unloaded by an operator")
    assert states(server)["delay", "1"] == states(server)["delay", "2"] == gone
    assert [state["name"] for state in call(server, "index", {"ready": True}).json()] == ["reliability"]
    assert server.metric("archlab_models_resident") == 1
    assert call(server, "models/delay/load").status_code == 200
    assert answers(server, 1)()
    assert server.metric("archlab_models_resident") == 3


def test_an_unload_outlives_a_new_version(server: RunningServer, lab: Lab) -> None:
    call(server, "models/delay/unload")
    sequence = lab.publish(lab.onnx("3", bias=3))
    wait_for(lambda: server.metric("archlab_release_feed_sequence") == sequence, "the feed")
    assert answers(server, None)()
    assert states(server) == {("delay", "3"): ("UNAVAILABLE", "unloaded by an operator")}
    call(server, "models/delay/load")
    assert answers(server, 3)()


def test_a_restart_forgets_an_unload(server: RunningServer, launch: Launcher) -> None:
    call(server, "models/delay/unload")
    server.stop()
    assert answers(launch.start(), 1)()


def test_a_refused_release_is_unavailable_and_says_why(server: RunningServer, lab: Lab) -> None:
    sequence = lab.publish(lab.onnx("1", bias=1), {**lab.onnx("9", model="other"), "signature": "AAAA"})
    wait_for(lambda: server.metric("archlab_release_feed_sequence") == sequence, "the feed")
    state, reason = states(server)["other", "9"]
    assert state == "UNAVAILABLE"
    assert reason == "refused (signature): the signature of other:9 does not verify"
    reply = call(server, "models/other/load")
    assert (reply.status_code, "does not verify" in reply.json()["error"]) == (503, True)


def test_an_unknown_model_is_404(server: RunningServer) -> None:
    for verb in ("load", "unload"):
        reply = call(server, f"models/gate/{verb}")
        assert (reply.status_code, "'gate' is not served here" in reply.json()["error"]) == (404, True)


@pytest.mark.parametrize("name", ["config", "file:1/model.onnx"])
def test_models_from_elsewhere_are_refused(server: RunningServer, name: str) -> None:
    reply = call(server, "models/delay/load", {"parameters": {name: "e30="}})
    assert reply.status_code == 400
    assert f"parameter {name!r} is not taken: models come from signed releases only" in reply.json()["error"]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"parameters": []}', b"x" * (2 << 20)])
def test_a_body_that_is_no_request_is_400(server: RunningServer, content: bytes) -> None:
    reply = server.client.post("/v2/repository/models/delay/load", content=content, headers=OPERATOR)
    assert (reply.status_code, bool(reply.json()["error"])) == (400, True)


def test_an_unmodified_triton_client(lab: Lab, launch: Launcher) -> None:
    lab.publish(lab.onnx("1", bias=1))
    client = triton.InferenceServerClient(launch.start(port=True).address)
    assert "model_repository" in client.get_server_metadata()["extensions"]
    assert client.get_model_repository_index(headers=OPERATOR) == [
        {"name": "delay", "version": "1", "state": "READY", "reason": ""}
    ]
    client.unload_model("delay", headers=OPERATOR)
    assert not client.is_model_ready("delay")
    client.load_model("delay", headers=OPERATOR)
    assert client.is_model_ready("delay")
    with pytest.raises(InferenceServerException, match="signed releases only"):
        client.load_model("delay", headers=OPERATOR, config="{}", files={"file:1/model.onnx": b"x"})
    with pytest.raises(InferenceServerException, match="needs the role 'operator'"):
        client.unload_model("delay")
    client.close()


def test_lazily_loaded_models_are_ready_and_say_that_they_wait(lab: Lab, launch: Launcher) -> None:
    lab.publish(lab.onnx("1", bias=1))
    server = launch.start(extra={"ARCHLAB_SERVING_LOADING": "lazy"})
    assert states(server) == {("delay", "1"): ("READY", "not in memory: its next request loads it")}
    assert server.client.get("/v2/models/delay/ready").json()["ready"]
    assert server.client.get("/v2/models/delay").json()["inputs"][0]["shape"] == [-1, 5]
    assert server.metric("archlab_models_resident") == 0
    call(server, "models/delay/load")
    assert states(server) == {("delay", "1"): ("READY", "")}
    assert server.metric("archlab_cold_start_seconds_count") == 1
