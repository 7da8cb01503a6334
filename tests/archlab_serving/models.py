"""ONNX files of models that cost enough to be worth computing together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

SEED = 5


def network(columns: int, hidden: Sequence[int], bias: float = 0.0) -> bytes:
    """`features` `[N, columns]` through dense layers with ReLU to `prediction` `[N, 1]`; `bias` is added at the end."""
    nodes, weights = _layers("features", columns, hidden, bias)
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, columns])
    return _file(nodes, [features], weights)


def embedding(tokens: int, hidden: Sequence[int]) -> bytes:
    """A row of a table per `token` (INT64 `[N]`), then dense layers; one outside of the table makes a run fail."""
    nodes, weights = _layers("row", hidden[0], hidden, 0.0)
    table = np.random.default_rng(SEED).standard_normal((tokens, hidden[0])).astype(np.float32)
    token = helper.make_tensor_value_info("token", TensorProto.INT64, [None])
    gather = helper.make_node("Gather", ["table", "token"], ["row"])
    return _file([gather, *nodes], [token], [numpy_helper.from_array(table, "table"), *weights])


def _layers(name: str, width: int, hidden: Sequence[int], bias: float) -> tuple[list[NodeProto], list[TensorProto]]:
    random = np.random.default_rng(SEED)
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []
    for number, extent in enumerate((*hidden, 1)):
        matrix = (random.standard_normal((width, extent)) / np.sqrt(width)).astype(np.float32)
        offset = np.full(extent, bias if number == len(hidden) else 0.0, dtype=np.float32)
        weights += [numpy_helper.from_array(matrix, f"w{number}"), numpy_helper.from_array(offset, f"b{number}")]
        made = "prediction" if number == len(hidden) else f"sum{number}"
        nodes.append(helper.make_node("Gemm", [name, f"w{number}", f"b{number}"], [made]))
        if number < len(hidden):
            nodes.append(helper.make_node("Relu", [made], [f"layer{number}"]))
        name, width = f"layer{number}", extent
    return nodes, weights


def _file(nodes: list[NodeProto], inputs: list[Any], weights: list[TensorProto]) -> bytes:
    prediction = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "network", inputs, [prediction], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
