"""A real server asked over gRPC with the definition's own stubs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import onnx
import pytest
from open_inference.grpc import protocol as pb
from open_inference.grpc import service
from tests.archlab_serving.conftest import CARRIER, WEATHER, Lab, Launcher, RunningServer, wait_for

from archlab_serving.protocol.datatypes import DATATYPES

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
