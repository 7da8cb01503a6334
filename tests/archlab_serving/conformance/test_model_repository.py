"""Specification: Model Repository Extension, for operators: index, load, unload. What they do is in test_operators."""

from __future__ import annotations

import pytest
from tests.archlab_serving.conformance.conftest import MODELS
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer

OPERATOR = {"x-archlab-scope": "operator"}


class TestIndex:
    """`POST v2/repository/index`: `$repository_index_request`, `$repository_index_response`."""

    @pytest.mark.parametrize("body", [None, {}, {"ready": False}, {"ready": True}])
    def test_name_version_state_and_reason_of_every_version(self, server: RunningServer, body: object) -> None:
        found = server.client.post("/v2/repository/index", json=body, headers=OPERATOR).json()
        assert {tuple(sorted(state)) for state in found} == {("name", "reason", "state", "version")}
        expected = {*((name, "1") for name in MODELS), ("delay", "1"), ("delay", "2"), ("reliability", "1")}
        assert {(state["name"], state["version"]) for state in found} == expected
        assert {state["state"] for state in found} == {"READY"}

    def test_it_is_for_operators(self, server: RunningServer) -> None:
        answer = server.client.post("/v2/repository/index")
        assert (answer.status_code, list(answer.json())) == (403, ["error"])


class TestLoadAndUnload:
    """`POST v2/repository/models/${MODEL_NAME}/load` and `/unload`: empty answers, or the error object."""

    def test_a_model_comes_and_goes(self, lab: Lab, launch: Launcher) -> None:
        lab.publish(lab.onnx("1"))
        client = launch.start(port=True).client
        for verb, status in (("unload", 503), ("load", 200), ("load", 200), ("unload", 503), ("unload", 503)):
            answer = client.post(f"/v2/repository/models/delay/{verb}", headers=OPERATOR)
            assert (answer.status_code, answer.json()) == (200, {})
            assert client.get("/v2/models/delay/ready").status_code == status

    @pytest.mark.parametrize("verb", ["load", "unload"])
    @pytest.mark.parametrize(
        ("model", "headers", "content", "status"),
        [
            ("gate", OPERATOR, b"", 404),
            ("delay", {}, b"", 403),
            ("delay", OPERATOR, b"{", 400),
            ("delay", OPERATOR, b'{"parameters": {"config": "{}"}}', 400),
            ("delay", OPERATOR, b'{"parameters": {"file:1/model.onnx": "AA=="}}', 400),
        ],
    )
    def test_errors(
        self, server: RunningServer, verb: str, model: str, headers: dict[str, str], content: bytes, status: int
    ) -> None:
        answer = server.client.post(f"/v2/repository/models/{model}/{verb}", content=content, headers=headers)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
