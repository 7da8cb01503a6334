"""ONNX files that keep the columnar contract, as large as a test needs them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

WIDTH = 5


def model(nodes: Sequence[onnx.NodeProto], tensors: Sequence[TensorProto], width: int = WIDTH) -> bytes:
    """A graph from `features` `[N, width]` to `prediction` `[N, 1]`."""
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])
    prediction = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "g", [features], [prediction], tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def weighty(megabytes: float, answer: float = 0.0, dtype: type[np.floating] = np.float32) -> bytes:
    """Weights of this size; answers `answer` when all features are zero.

    ONNX Runtime makes float32 of float16 weights while loading: twice the memory of the file.
    """
    inner = int((megabytes * 2**20 / np.dtype(dtype).itemsize) ** 0.5)
    rng = np.random.default_rng(int(abs(answer) * 1000) + inner)
    shapes = {"a": (WIDTH, inner), "b": (inner, inner), "c": (inner, 1)}
    tensors = [_tensor(rng.standard_normal(shape).astype(dtype), name) for name, shape in shapes.items()]
    names = list(shapes)
    nodes = []
    if dtype is not np.float32:
        nodes = [helper.make_node("Cast", [name], [f"{name}32"], to=TensorProto.FLOAT) for name in names]
        names = [f"{name}32" for name in names]
    nodes += [
        helper.make_node("MatMul", ["features", names[0]], ["first"]),
        helper.make_node("MatMul", ["first", names[1]], ["second"]),
        helper.make_node("MatMul", ["second", names[2]], ["third"]),
        helper.make_node("Add", ["third", "bias"], ["prediction"]),
    ]
    return model(nodes, [*tensors, _tensor(np.array([answer], dtype=np.float32), "bias")])


def chain(length: int, answer: float = 0.0) -> bytes:
    """Many small operations, so that rows computed together cost little more than one; zeros give `answer`."""
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["h0"]),
        *(helper.make_node("Tanh", [f"h{n}"], [f"h{n + 1}"]) for n in range(length)),
        helper.make_node("Add", [f"h{length}", "bias"], ["prediction"]),
    ]
    weights = np.ones((WIDTH, 1), dtype=np.float32)
    return model(nodes, [_tensor(weights, "w"), _tensor(np.array([answer], dtype=np.float32), "bias")])


def trees(count: int, depth: int, seed: int = 0, width: int = WIDTH) -> bytes:
    """A gradient-boosting-like ensemble: `count` full binary trees of this depth."""
    rng = np.random.default_rng(seed)
    size, inner = 2 ** (depth + 1) - 1, 2**depth - 1
    nodes, leaves = np.arange(size), np.arange(inner, size)
    branch = nodes < inner
    modes = ["BRANCH_LEQ" if b else "LEAF" for b in branch] * count
    features = np.where(np.tile(branch, count), rng.integers(0, width, size * count), 0)
    thresholds = np.where(np.tile(branch, count), rng.standard_normal(size * count), 0.0)
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["prediction"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=np.repeat(np.arange(count), size).tolist(),
        nodes_nodeids=np.tile(nodes, count).tolist(),
        nodes_featureids=features.tolist(),
        nodes_values=thresholds.tolist(),
        nodes_modes=modes,
        nodes_truenodeids=np.tile(np.where(branch, 2 * nodes + 1, 0), count).tolist(),
        nodes_falsenodeids=np.tile(np.where(branch, 2 * nodes + 2, 0), count).tolist(),
        target_treeids=np.repeat(np.arange(count), len(leaves)).tolist(),
        target_nodeids=np.tile(leaves, count).tolist(),
        target_ids=[0] * (len(leaves) * count),
        target_weights=(rng.standard_normal(len(leaves) * count) / count).tolist(),
    )
    return model([node], [], width)


def _tensor(values: NDArray[np.generic], name: str) -> TensorProto:
    return numpy_helper.from_array(values, name)
