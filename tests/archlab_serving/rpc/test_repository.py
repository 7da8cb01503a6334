"""The model repository over gRPC: for operators."""

from __future__ import annotations

from typing import Any

import pytest
from open_inference.grpc import protocol as pb
from tests.archlab_serving.rpc.conftest import (
    OPERATOR,
    PREFIX,
    Calls,
    outcome,
    row,
)

from archlab_serving.protocol import grpc_extensions as ext

INDEX, LOAD, UNLOAD = (f"{PREFIX}Repository{call}" for call in ("Index", "ModelLoad", "ModelUnload"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (INDEX, ext.IndexRequest()),
        (LOAD, ext.LoadRequest(model_name="delay")),
        (UNLOAD, ext.UnloadRequest(model_name="delay")),
    ],
)
@pytest.mark.parametrize("metadata", [(), (("x-archlab-scope", "viewer developer"),)])
def test_the_repository_is_for_operators(calls: Calls, path: str, message: Any, metadata: Any) -> None:
    code, text = outcome(lambda: calls.other(path, message, ext.IndexResponse, *metadata))
    assert code == "PERMISSION_DENIED"
    assert "needs the role 'operator'" in text
    assert calls.infer(row())


@pytest.mark.parametrize("field", ["model_name", "first_name"])
def test_operators_unload_and_load(calls: Calls, field: str) -> None:
    """Triton names the model in field 2, KServe in field 1."""

    def states(*, ready: bool = False) -> dict[tuple[str, str], str]:
        found = calls.other(INDEX, ext.IndexRequest(ready=ready), ext.IndexResponse, *OPERATOR)
        return {(model.name, model.version): model.state for model in found.models}

    named = {field: "delay"}
    assert states()["delay", "1"] == "READY"
    done = calls.other(UNLOAD, ext.UnloadRequest(**named), ext.UnloadResponse, *OPERATOR)
    assert (done.model_name, done.isUnloaded) == ("delay", True)
    assert states()["delay", "1"] == "UNAVAILABLE"
    assert ("delay", "1") not in states(ready=True)
    assert outcome(lambda: calls.infer(row()))[0] == "UNAVAILABLE"
    assert not calls.stub.ModelReady(pb.ModelReadyRequest(name="delay")).ready
    done = calls.other(LOAD, ext.LoadRequest(**named), ext.LoadResponse, *OPERATOR)
    assert (done.model_name, done.isLoaded) == ("delay", True)
    assert states(ready=True)["delay", "2"] == "READY"
    assert calls.infer(row())


def test_loads_bring_no_models_along(calls: Calls) -> None:
    message = ext.LoadRequest(model_name="delay")
    message.parameters["config"].SetInParent()
    code, text = outcome(lambda: calls.other(LOAD, message, ext.LoadResponse, *OPERATOR))
    assert (code, "signed releases only" in text) == ("INVALID_ARGUMENT", True)
    unknown = ext.LoadRequest(model_name="none")
    assert outcome(lambda: calls.other(LOAD, unknown, ext.LoadResponse, *OPERATOR))[0] == "NOT_FOUND"
