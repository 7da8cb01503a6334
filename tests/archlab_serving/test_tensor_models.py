"""Releases without columns: a graph's own inputs and outputs."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer


def graph() -> bytes:
    """`total` = `left` + `right` (INT64), `label` = `name` (text)."""
    numbers = [helper.make_tensor_value_info(n, TensorProto.INT64, ["rows", 2]) for n in ("left", "right", "total")]
    texts = [helper.make_tensor_value_info(n, TensorProto.STRING, ["rows"]) for n in ("name", "label")]
    nodes = [helper.make_node("Add", ["left", "right"], ["total"]), helper.make_node("Identity", ["name"], ["label"])]
    made = helper.make_graph(nodes, "sum", [*numbers[:2], texts[0]], [numbers[2], texts[1]])
    content: bytes = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    assert onnx.load_from_string(content)
    return content


@pytest.fixture(scope="module")
def server(shared_lab: Lab, shared_launch: Launcher) -> RunningServer:
    shared_lab.publish(shared_lab.release(graph(), model="sum", columns=[], keys=[]))
    return shared_launch.start()


INPUTS = [
    {"name": "left", "datatype": "INT64", "shape": [1, 2], "data": [1, 2**62]},
    {"name": "right", "datatype": "INT64", "shape": [1, 2], "data": [10, 5]},
    {"name": "name", "datatype": "BYTES", "shape": [1], "data": ["Zürich"]},
]


def test_metadata_is_the_graphs_own(server: RunningServer) -> None:
    about = server.client.get("/v2/models/sum").json()
    assert about["inputs"] == [
        {"name": "left", "datatype": "INT64", "shape": [-1, 2]},
        {"name": "right", "datatype": "INT64", "shape": [-1, 2]},
        {"name": "name", "datatype": "BYTES", "shape": [-1]},
    ]
    assert [output["name"] for output in about["outputs"]] == ["total", "label"]


def test_every_output_is_answered(server: RunningServer) -> None:
    answer = server.client.post("/v2/models/sum/infer", json={"inputs": INPUTS}).json()
    assert answer["outputs"] == [
        {"name": "total", "datatype": "INT64", "shape": [1, 2], "data": [11, 2**62 + 5]},
        {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["Zürich"]},
    ]


def test_only_the_requested_output_is_answered(server: RunningServer) -> None:
    asked = {"inputs": INPUTS, "outputs": [{"name": "label"}]}
    answer = server.client.post("/v2/models/sum/infer", json=asked).json()
    assert [output["name"] for output in answer["outputs"]] == ["label"]


def test_a_missing_tensor_is_named(server: RunningServer) -> None:
    answer = server.client.post("/v2/models/sum/infer", json={"inputs": INPUTS[:2]})
    assert (answer.status_code, answer.json()["error"]) == (400, "tensor 'name' is missing")
