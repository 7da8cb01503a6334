"""Health, metadata and inference over gRPC: the same as over REST."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import grpc
import numpy as np
import pytest
from open_inference.grpc import protocol as pb
from tests.archlab_serving.conftest import CARRIER, WEATHER, Lab, Launcher, body, wait_for
from tests.archlab_serving.rpc.conftest import (
    PREFIX,
    Calls,
    Stub,
    calls_to,
    outcome,
    publish,
    row,
)

from archlab_serving.protocol import grpc_extensions as ext
from archlab_serving.protocol.datatypes import DATATYPES
from archlab_serving.protocol.grpc import CONTENTS


def test_health_and_metadata(calls: Calls) -> None:
    assert calls.stub.ServerLive(pb.ServerLiveRequest()).live
    assert calls.stub.ServerReady(pb.ServerReadyRequest()).ready
    server = calls.stub.ServerMetadata(pb.ServerMetadataRequest())
    assert server.name == "archlab-serving"
    assert "model_repository" in server.extensions
    assert calls.stub.ModelReady(pb.ModelReadyRequest(name="delay", version="2")).ready
    about = calls.stub.ModelMetadata(pb.ModelMetadataRequest(name="delay"))
    assert list(about.versions) == ["1", "2"]
    assert [(t.name, t.datatype, list(t.shape)) for t in about.outputs] == [("prediction", "FP32", [-1, 1])]
    rest = calls.server.client.get("/v2/models/delay").json()["parameters"]
    assert json.loads(about.properties["keys"]) == rest["keys"]
    assert about.properties["release"] == "delay:1"


def test_a_missing_model_is_not_found(calls: Calls) -> None:
    for ask in (
        lambda: calls.stub.ModelReady(pb.ModelReadyRequest(name="gate")),
        lambda: calls.stub.ModelMetadata(pb.ModelMetadataRequest(name="gate")),
        lambda: calls.infer(row(model="gate")),
        lambda: calls.infer(row("9")),
        lambda: calls.infer(row(model="")),
    ):
        assert outcome(ask)[0] == "NOT_FOUND"


def test_health_as_orchestrators_ask_it(calls: Calls) -> None:
    for name in ("", "inference.GRPCInferenceService"):
        found = calls.other("/grpc.health.v1.Health/Check", ext.HealthRequest(service=name), ext.HealthResponse)
        assert found.status == ext.SERVING
    unknown = partial(calls.other, "/grpc.health.v1.Health/Check", ext.HealthRequest(service="x"), ext.HealthResponse)
    assert outcome(unknown)[0] == "NOT_FOUND"


def test_a_server_that_is_not_ready_says_so(lab: Lab, launch: Launcher) -> None:
    address = f"unix:{lab.root / 'rpc.sock'}"
    launch.start(wait=False, extra={"ARCHLAB_SERVING_GRPC": address})
    with grpc.insecure_channel(address) as channel:
        stub = Stub(channel)
        assert stub.ServerLive(pb.ServerLiveRequest(), wait_for_ready=True, timeout=30).live
        assert not stub.ServerReady(pb.ServerReadyRequest(), timeout=30).ready
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert ext.HealthResponse.FromString(check(b"", timeout=30)).status == ext.NOT_SERVING
        publish(lab)
        wait_for(lambda: bool(stub.ServerReady(pb.ServerReadyRequest(), timeout=30).ready), "the server")


def test_inference_is_the_same_as_over_rest(calls: Calls) -> None:
    over_rest = calls.server.client.post("/v2/models/delay/infer", json={**body(hour=[2.0], origin=["JFK"]), "id": "a"})
    message = pb.ModelInferRequest(model_name="delay", id="a")
    message.inputs.add(name="hour", datatype="FP32", shape=[1]).contents.fp32_contents.append(2.0)
    message.inputs.add(name="origin", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"JFK")
    answer, expected = calls.infer(message), over_rest.json()
    values = {key: getattr(value, value.WhichOneof("parameter_choice")) for key, value in answer.parameters.items()}
    assert values == expected["parameters"]
    assert (answer.model_name, answer.model_version, answer.id) == ("delay", "1", "a")
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("prediction", "FP32", [1, 1])
    assert np.isnan(output.contents.fp32_contents[0])
    assert expected["outputs"][0]["data"] == [None]


def test_typed_answers_to_typed_and_raw_to_raw(calls: Calls) -> None:
    typed = calls.infer(row())
    assert list(typed.outputs[0].contents.fp32_contents) == [43210.0]
    assert not typed.raw_output_contents
    message = pb.ModelInferRequest(model_name="delay")
    message.inputs.add(name="features", datatype="FP32", shape=[1, 5])
    message.raw_input_contents.append(np.arange(5, dtype="<f4").tobytes())
    raw = calls.infer(message)
    assert np.frombuffer(raw.raw_output_contents[0], "<f4").tolist() == [43210.0]
    assert not raw.outputs[0].HasField("contents")


EXAMPLES: dict[str, list[Any]] = {
    "BOOL": [True, False],
    **{f"UINT{bits}": [0, 2**bits - 1] for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] for bits in (8, 16, 32, 64)},
    "FP16": [0.5, -65504.0],
    "FP32": [0.5, float("inf")],
    "FP64": [0.1, -1e300],
    "BYTES": [b"", "Zürich".encode()],
}


def echo() -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="echo")
    for name in DATATYPES:
        message.inputs.add(name=name, datatype=name, shape=[1, 2])
    return message


def packed(name: str) -> bytes:
    values = EXAMPLES[name]
    if name == "BYTES":
        return b"".join(len(value).to_bytes(4, "little") + value for value in values)
    return np.array(values, DATATYPES[name].numpy).tobytes()


def test_every_datatype_comes_back_raw(calls: Calls) -> None:
    message = echo()
    message.raw_input_contents.extend(map(packed, DATATYPES))
    answer = calls.infer(message)
    assert [(o.name, o.datatype, list(o.shape)) for o in answer.outputs] == [
        (f"{name}_out", name, [1, 2]) for name in DATATYPES
    ]
    assert list(answer.raw_output_contents) == list(map(packed, DATATYPES))


def test_every_datatype_with_a_typed_form_goes_in_and_comes_out(calls: Calls) -> None:
    message = echo()
    for entry in message.inputs:
        if entry.name in CONTENTS:
            getattr(entry.contents, CONTENTS[entry.name]).extend(EXAMPLES[entry.name])
    code, text = outcome(lambda: calls.infer(message))
    assert (code, "FP16 has no typed form" in text) == ("INVALID_ARGUMENT", True)
    message.raw_input_contents.extend(map(packed, DATATYPES))
    for entry in message.inputs:
        entry.ClearField("contents")
    for name in CONTENTS:
        del message.outputs[:]
        message.outputs.add(name=f"{name}_out")
        answer = calls.infer(message)
        assert [output.name for output in answer.outputs] == [f"{name}_out"]
        assert list(answer.raw_output_contents) == [packed(name)]


def test_requested_outputs_come_in_their_order(calls: Calls) -> None:
    message = echo()
    message.raw_input_contents.extend(map(packed, DATATYPES))
    for name in ("INT8_out", "BOOL_out"):
        message.outputs.add(name=name)
    assert [output.name for output in calls.infer(message).outputs] == ["INT8_out", "BOOL_out"]
    message.outputs.add(name="none")
    assert outcome(lambda: calls.infer(message))[1].startswith("output 'none' is unknown")


def test_a_table(calls: Calls) -> None:
    message = pb.ModelInferRequest(model_name="reliability")
    message.inputs.add(name="tailnum", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"N1")
    assert list(calls.infer(message).outputs[0].contents.fp32_contents) == [0.25]


def test_the_version_is_the_messages_or_the_metadatas(calls: Calls) -> None:
    named = ("x-archlab-version", "2")
    assert calls.infer(row()).model_version == "1"
    assert calls.infer(row("2")).outputs[0].contents.fp32_contents[0] == 43217.0
    assert calls.infer(row(), named).model_version == "2"
    assert calls.infer(row("1"), named).model_version == "1"
    assert calls.infer(row("1"), named, ("x-archlab-shadow", "true")).model_version == "2"


def test_a_request_has_an_id(calls: Calls) -> None:
    texts = echo()
    texts.raw_input_contents.extend(map(packed, DATATYPES))
    texts.outputs.add(name="BYTES_out")
    assert calls.infer(texts).outputs  # texts in the log keep nothing from following
    assert calls.infer(row(id="own"), ("x-request-id", "edge")).id == "own"
    assert calls.infer(row(), ("x-request-id", "edge")).id == "edge"
    log = calls.server.log.parent / "predictions" / "server-0.jsonl"
    wait_for(lambda: log.exists() and '"own"' in log.read_text(), "the prediction log")
    line = next(line for line in map(json.loads, log.read_text().splitlines()) if line["request_id"] == "own")
    assert (line["model"], line["correlation_id"], line["prediction"]) == ("delay", "edge", [43210.0])


def test_a_message_for_another_model_than_was_routed_is_refused(calls: Calls) -> None:
    assert calls.infer(row(), ("x-archlab-model", "delay")).model_name == "delay"
    twice = row().SerializeToString() + row(model="reliability").SerializeToString()
    call: Any = calls.channel.unary_unary(f"{PREFIX}ModelInfer")
    code, text = outcome(lambda: call(twice, metadata=[("x-archlab-model", "delay")], timeout=30))
    assert (code, text) == ("INVALID_ARGUMENT", "the message names model 'reliability', x-archlab-model says 'delay'")
    for ask in (
        partial(calls.stub.ModelReady, pb.ModelReadyRequest(name="delay")),
        partial(calls.stub.ModelMetadata, pb.ModelMetadataRequest(name="delay")),
    ):
        assert outcome(partial(ask, metadata=[("x-archlab-model", "slow")]))[0] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("name", ["x-archlab-min-feed", "x-archlab-min-snapshot", "x-envoy-expected-rq-timeout-ms"])
@pytest.mark.parametrize("value", ["x", "-1", "1" * 900, "1.5"])
def test_numbers_in_the_metadata_are_whole(calls: Calls, name: str, value: str) -> None:
    code, text = outcome(lambda: calls.infer(row(), (name, value)))
    assert (code, "a whole number is needed" in text) == ("INVALID_ARGUMENT", True)
    assert calls.infer(row(), (name, "0"))


def test_answers_of_what_is_deprecated_say_so(lab: Lab, launch: Launcher) -> None:
    lab.publish(lab.onnx("1", deprecated="2013-11-06T08:00:00Z", sunset="2013-12-21T00:00:00Z"))
    lab.snapshot(3, weather=WEATHER, carrier=CARRIER)
    for calls in calls_to(launch, "ends"):
        _, call = calls.stub.ModelInfer.with_call(row(), timeout=30)
        told = dict(call.trailing_metadata())
        assert (told["deprecation"], told["sunset"]) == ("@1383724800", "Sat, 21 Dec 2013 00:00:00 GMT")
