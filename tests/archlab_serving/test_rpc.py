"""A real server asked over gRPC with the definition's own stubs."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
import pytest
from open_inference.grpc import protocol as pb
from open_inference.grpc import service
from tests.archlab_serving.conftest import CARRIER, WEATHER, Lab, Launcher, RunningServer, body, wait_for

from archlab_serving.protocol import grpc_extensions as ext
from archlab_serving.protocol.datatypes import DATATYPES
from archlab_serving.protocol.grpc import CONTENTS

Stub: Any = service.GRPCInferenceServiceStub  # generated without types
PREFIX = "/inference.GRPCInferenceService/"
LIMIT = 1 << 20
PLACES = 8
OPERATOR = (("x-archlab-scope", "viewer operator"),)
SLOW_MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
slow (int64[1, rounds] work) => (float[n, n] done) {
    trips = ReduceSum <keepdims = 0> (work)
    size = Constant <value = int64[2] {256, 256}> ()
    going = Constant <value = bool {1}> ()
    start = ConstantOfShape <value = float[1] {0.00390625}> (size)
    done = Loop (trips, going, start) <body = step (int64 i, bool go, float[256, 256] x) =>
        (bool goes, float[256, 256] y) { goes = Identity (go) y = MatMul (x, x) }>
}
"""


def slow_model() -> bytes:
    """As many matrix products as `work` says, some 100 µs to 1 ms each; its length can't be foreseen."""
    made: bytes = onnx.parser.parse_model(SLOW_MODEL).SerializeToString()
    return made


def echo_model() -> bytes:
    """An output for every input, of every datatype: `FP32_out` is `FP32`."""
    kinds = {name: onnx.helper.np_dtype_to_tensor_dtype(kind.numpy) for name, kind in DATATYPES.items()}
    inputs = [onnx.helper.make_tensor_value_info(name, kind, ["n", 2]) for name, kind in kinds.items()]
    outputs = [onnx.helper.make_tensor_value_info(f"{name}_out", kind, ["n", 2]) for name, kind in kinds.items()]
    nodes = [onnx.helper.make_node("Identity", [name], [f"{name}_out"]) for name in kinds]
    graph = onnx.helper.make_graph(nodes, "echo", inputs, outputs)
    opset = onnx.helper.make_opsetid("", 17)
    return bytes(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString())


@dataclass
class Calls:
    """A server and a channel to it."""

    server: RunningServer
    channel: grpc.Channel
    address: str

    @property
    def stub(self) -> Any:
        return Stub(self.channel)

    def infer(self, message: pb.ModelInferRequest, *metadata: tuple[str, str], **options: Any) -> Any:
        return self.stub.ModelInfer(message, metadata=metadata, timeout=options.pop("timeout", 30), **options)

    def other(self, path: str, message: Any, kind: Any, *metadata: tuple[str, str]) -> Any:
        """A call that the definition lacks."""
        call: Any = self.channel.unary_unary(path)
        return kind.FromString(call(message.SerializeToString(), metadata=metadata, timeout=30))

    def in_flight(self) -> float:
        return self.server.metric("archlab_inference_in_flight")

    def count(self, model: str, code: int, version: str = "1") -> float:
        team = "-" if model == "-" else "operations"
        labels = f'code="{code}",model="{model}",team="{team}",version="{version}"'
        return self.server.metric(f"archlab_inference_requests_total{{{labels}}}")

    def idle(self) -> None:
        """Nothing is being answered, so every place that was taken has been given back."""
        wait_for(lambda: self.in_flight() == 0, "the last call's place")


def calls_to(launch: Launcher, name: str = "rpc", **extra: str) -> Iterator[Calls]:
    address = f"unix:{launch.lab.root / name}.sock"
    server = launch.start(extra={"ARCHLAB_SERVING_GRPC": address, **extra})
    with grpc.insecure_channel(address) as channel:
        yield Calls(server, channel, address)


def publish(lab: Lab) -> None:
    tensors: dict[str, Any] = {"columns": [], "keys": []}
    lab.publish(
        lab.onnx("1"),
        lab.onnx("2", bias=7, role="challenger", weight=0),
        lab.table({"N1": 0.25}),
        lab.release(slow_model(), model="slow", **tensors),
        lab.release(echo_model(), model="echo", **tensors),
    )
    lab.snapshot(3, weather=WEATHER, carrier=CARRIER)


@pytest.fixture(scope="module")
def calls(shared_lab: Lab, shared_launch: Launcher) -> Iterator[Calls]:
    publish(shared_lab)
    limits = {"ARCHLAB_SERVING_MAX_BODY_BYTES": str(LIMIT), "ARCHLAB_SERVING_MAX_CONCURRENCY": str(PLACES)}
    yield from calls_to(shared_launch, **limits)


@pytest.fixture
def own_calls(lab: Lab, launch: Launcher) -> Iterator[Calls]:
    publish(lab)
    yield from calls_to(launch)


def row(version: str = "", model: str = "delay", **fields: Any) -> pb.ModelInferRequest:
    """One row, whose prediction is 43210 plus the version's bias."""
    message = pb.ModelInferRequest(model_name=model, model_version=version, **fields)
    entry = message.inputs.add(name="features", datatype="FP32", shape=[1, 5])
    entry.contents.fp32_contents.extend([0, 1, 2, 3, 4])
    return message


def slow(rounds: int) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="slow")
    message.inputs.add(name="work", datatype="INT64", shape=[1, 1]).contents.int64_contents.append(rounds)
    return message


def refused(ask: Callable[[], object]) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        ask()
    return caught.value


def outcome(ask: Callable[[], object]) -> tuple[str, str]:
    """Code and text of a refusal."""
    error = refused(ask)
    return error.code().name, error.details()


@pytest.fixture(scope="module")
def rounds(calls: Calls) -> int:
    """About a second of `slow`."""
    calls.infer(slow(1))
    started = time.monotonic()
    calls.infer(slow(500))
    return max(1, int(500 / (time.monotonic() - started)))


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


def test_errors_have_rests_messages_and_counts(calls: Calls) -> None:
    message = row()
    message.inputs[0].shape[:] = [5, 1]
    bad = {"name": "features", "datatype": "FP32", "shape": [5, 1], "data": [0, 1, 2, 3, 4]}
    before = calls.count("delay", 400)
    over_rest = calls.server.client.post("/v2/models/delay/infer", json={"inputs": [bad]})
    error = refused(lambda: calls.infer(message))
    assert (error.code().name, error.details()) == ("INVALID_ARGUMENT", over_rest.json()["error"])
    assert "retry-after" not in dict(error.trailing_metadata())
    assert calls.count("delay", 400) == before + 2


@pytest.mark.parametrize("letter", ["x", "ü", "机", "😀"])
def test_long_errors_fit_in_their_header(calls: Calls, letter: str) -> None:
    code, text = outcome(lambda: calls.infer(row(model=letter * 20_000)))
    assert code == "NOT_FOUND"
    assert text.startswith("model '" + letter * 100)
    assert text.endswith("…")


def test_what_is_no_message_is_refused_and_counted(calls: Calls) -> None:
    before = calls.count("-", 400, "-")
    call: Any = calls.channel.unary_unary(f"{PREFIX}ModelInfer")
    code, text = outcome(lambda: call(b"\xff\xff", timeout=30))
    assert (code, "is no inference.ModelInferRequest" in text) == ("INVALID_ARGUMENT", True)
    assert calls.count("-", 400, "-") == before + 1
    calls.idle()


def test_unknown_methods_are_unimplemented(calls: Calls) -> None:
    for path in (f"{PREFIX}ModelStreamInfer", "/other.Service/Method"):
        call: Any = calls.channel.unary_unary(path)
        assert outcome(partial(call, b"", timeout=30))[0] == "UNIMPLEMENTED"


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_messages_have_a_limit_however_they_are_packed(calls: Calls, compression: grpc.Compression) -> None:
    def ask(size: int) -> object:
        message = pb.ModelInferRequest(model_name="delay")
        message.inputs.add(name="features", datatype="FP32", shape=[size // 20, 5])
        message.raw_input_contents.append(bytes(size // 20 * 20))
        return calls.infer(message, compression=compression)

    assert ask(LIMIT // 20)
    assert outcome(lambda: ask(LIMIT + 1))[0] == "RESOURCE_EXHAUSTED"
    assert outcome(lambda: ask(64 * LIMIT))[0] == "RESOURCE_EXHAUSTED"
    assert calls.infer(row())
    calls.idle()


def test_a_deadline_that_can_not_be_kept_ends_the_wait(calls: Calls, rounds: int) -> None:
    running = calls.stub.ModelInfer.future(slow(2 * rounds), timeout=60)
    wait_for(lambda: calls.in_flight() == 1, "the first call")
    for options in ({"timeout": 0.2}, {"metadata": (("x-envoy-expected-rq-timeout-ms", "200"),)}):
        started = time.monotonic()
        error = refused(partial(calls.stub.ModelInfer, slow(1), **options))
        assert error.code().name in {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
        assert time.monotonic() - started < 1.5
    assert running.result()
    calls.idle()


def test_a_parameter_sets_a_deadline_too(calls: Calls, rounds: int) -> None:
    running = calls.stub.ModelInfer.future(slow(rounds), timeout=60)
    wait_for(lambda: calls.in_flight() == 1, "the first call")
    message = slow(1)
    message.parameters["timeout"].int64_param = 100_000
    error = refused(partial(calls.stub.ModelInfer, message, timeout=60))
    assert error.code().name in {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
    assert running.result()
    message.parameters["timeout"].string_param = "soon"
    assert "whole microseconds" in refused(partial(calls.infer, message)).details()
    calls.idle()


def test_what_nobody_waits_for_any_more_is_not_computed(calls: Calls, rounds: int) -> None:
    before = calls.count("slow", 499)
    running = calls.stub.ModelInfer.future(slow(rounds), timeout=60)
    wait_for(lambda: calls.in_flight() == 1, "the first call")
    waiting = [calls.stub.ModelInfer.future(slow(20 * rounds), timeout=60) for _ in range(3)]
    wait_for(lambda: calls.in_flight() == 4, "the calls in the queue")
    for call in waiting:
        call.cancel()
    assert running.result()
    calls.idle()
    assert calls.count("slow", 499) == before + 3
    assert calls.infer(row())


def test_a_call_cancelled_while_it_is_computed_gives_its_place_back(calls: Calls, rounds: int) -> None:
    running = calls.stub.ModelInfer.future(slow(rounds), timeout=60)
    wait_for(lambda: calls.in_flight() == 1, "the call")
    running.cancel()
    assert calls.infer(row())
    calls.idle()


def test_a_full_server_refuses_and_says_when_to_come_back(calls: Calls, rounds: int) -> None:
    """Requests over HTTP, which take their places with the first byte, fill them; those over gRPC do with the last."""
    before = calls.count("-", 503, "-")
    finish = threading.Event()

    def trickle() -> Iterator[bytes]:
        yield b"{"
        finish.wait()

    def post() -> None:
        calls.server.client.post("/v2/models/delay/infer", content=trickle())

    threads = [threading.Thread(target=post) for _ in range(PLACES)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: calls.in_flight() == PLACES, "all places")
        error = refused(lambda: calls.infer(row()))
        assert (error.code().name, error.details()) == (
            "UNAVAILABLE",
            f"{PLACES} requests are being answered already; try again",
        )
        assert int(dict(error.trailing_metadata())["retry-after"]) >= 1
        assert calls.stub.ServerLive(pb.ServerLiveRequest()).live
    finally:
        finish.set()
        for thread in threads:
            thread.join()
    assert calls.count("-", 503, "-") == before + 1
    assert calls.infer(row())
    calls.idle()


def test_broken_peers_hurt_nobody(calls: Calls) -> None:
    """Silence, noise, and connections that end in the middle."""
    path = calls.address.removeprefix("unix:")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = bytes.fromhex("000000040000000000")
    half_a_frame = bytes.fromhex("00ffff0000000000017f")
    peers = []
    for opening in (b"", b"GET / HTTP/1.1\r\n\r\n", preface[:10], preface, preface + settings + half_a_frame):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(path)
        peer.sendall(opening)
        peer.shutdown(socket.SHUT_WR)
        peers.append(peer)
    assert [calls.infer(row()).model_name for _ in range(20)] == ["delay"] * 20
    for peer in peers:
        peer.close()
    assert calls.infer(row())
    calls.idle()


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


def socket_of(calls: Calls) -> Path:
    return Path(calls.address.removeprefix("unix:"))


def test_a_server_that_stops_answers_what_it_took(own_calls: Calls) -> None:
    calls = own_calls
    calls.infer(slow(1))
    started = time.monotonic()
    calls.infer(slow(500))
    running = calls.stub.ModelInfer.future(slow(int(500 / (time.monotonic() - started)) + 1), timeout=60)
    wait_for(lambda: calls.in_flight() == 1, "the call")
    assert socket_of(calls).is_socket()
    calls.server.stop()
    assert running.result().model_name == "slow"
    assert not socket_of(calls).exists()
    assert outcome(lambda: calls.infer(row(), timeout=5))[0] == "UNAVAILABLE"
    assert "Traceback" not in calls.server.log.read_text()


def test_the_socket_of_a_killed_server_is_replaced(own_calls: Calls, launch: Launcher) -> None:
    own_calls.server.process.kill()
    own_calls.server.process.wait()
    assert socket_of(own_calls).exists()
    launch.start(extra={"ARCHLAB_SERVING_GRPC": own_calls.address})
    with grpc.insecure_channel(own_calls.address) as channel:
        stub = Stub(channel)
        assert stub.ModelInfer(row(), timeout=30).model_version == "1"


def test_only_sockets_are_replaced(lab: Lab, launch: Launcher) -> None:
    precious = lab.root / "notes.txt"
    precious.write_text("mine")
    server = launch.start(wait=False, extra={"ARCHLAB_SERVING_GRPC": f"unix:{precious}"})
    assert server.process.wait(60) != 0
    assert "gRPC can't listen on" in server.log.read_text()
    assert precious.read_text() == "mine"


def test_a_taken_port_ends_the_start(lab: Lab, launch: Launcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = launch.start(wait=False, extra={"ARCHLAB_SERVING_GRPC": address})
        assert server.process.wait(60) != 0
    assert f"gRPC can't listen on '{address}'" in server.log.read_text()


def test_no_address_no_grpc(lab: Lab, launch: Launcher) -> None:
    publish(lab)
    server = launch.start()
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "onnxruntime" in maps
    assert "cygrpc" not in maps
