"""What a CUDA device could run of an ONNX graph: nodes with a kernel, and the work in them, estimated for one row."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archlab.pipelines.cuda_operators import has_kernel
from archlab.spec.devices import NodeSupport

Shape = tuple[int, ...]

MOVES = frozenset(
    {
        "Cast",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Pad",
        "Reshape",
        "Shape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators that move or rename numbers and compute none."""

SAME_SHAPE = frozenset({"Imputer", "Scaler", "Normalizer", "Binarizer"})
"""Operators of ai.onnx.ml that change no shape; ONNX's inference does not look through them."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A node with the shapes around it."""

    operator: str
    inputs: tuple[Shape | None, ...]
    outputs: tuple[Shape | None, ...]
    attributes: Mapping[str, Any]


def node_support(model: Any) -> NodeSupport:
    """Counted over the main graph of an `onnx.ModelProto`; a free extent counts as one row."""
    shapes = _shapes(model)
    nodes = supported = flops = supported_flops = 0
    lacking: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "Constant":
            continue
        work = _flops(_node(node, shapes))
        there = has_kernel(node.domain, node.op_type)
        nodes, flops = nodes + 1, flops + work
        supported, supported_flops = supported + there, supported_flops + work * there
        if not there:
            lacking.add(node.op_type)
    return NodeSupport(
        nodes=nodes,
        supported_nodes=supported,
        flops=flops,
        supported_flops=supported_flops,
        unsupported=tuple(sorted(lacking)),
    )


def _shapes(model: Any) -> dict[str, Shape]:
    import onnx

    inferred = onnx.shape_inference.infer_shapes(_seen_through(model)).graph
    found = {initializer.name: tuple(initializer.dims) for initializer in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        if value.name not in found and value.type.tensor_type.HasField("shape"):
            dims = value.type.tensor_type.shape.dim
            found[value.name] = tuple(dim.dim_value or 1 for dim in dims)
    return found


def _seen_through(model: Any) -> Any:
    """A copy whose preprocessing has shapes, so that inference reaches what comes after it."""
    import onnx

    copy = onnx.ModelProto.FromString(model.SerializeToString())
    known = {value.name: value.type for value in copy.graph.input}
    for node in copy.graph.node:
        if node.op_type in SAME_SHAPE and node.input[0] in known:
            value = copy.graph.value_info.add(name=node.output[0])
            value.type.CopyFrom(known[node.input[0]])
            known[value.name] = value.type
    return copy


def _node(node: Any, shapes: Mapping[str, Shape]) -> _Node:
    from onnx import helper

    return _Node(
        operator=node.op_type,
        inputs=tuple(shapes.get(name) for name in node.input),
        outputs=tuple(shapes.get(name) for name in node.output),
        attributes={attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute},
    )


def _flops(node: _Node) -> int:
    if node.operator in MOVES:
        return 0
    counted = _COUNTED.get(node.operator)
    return counted(node) if counted else _elements(node)


def _elements(node: _Node) -> int:
    """One operation per number of the larger side: element by element, or reductions."""
    return max((math.prod(shape) for shape in (*node.inputs, *node.outputs) if shape is not None), default=0)


def _product(node: _Node) -> int:
    """A multiplication and an addition for each number of the second matrix, for each row of the first."""
    left, right = node.inputs[:2]
    if right is None:
        return 0
    rows = 1 if left is None else left[-1] if node.attributes.get("transA") else math.prod(left[:-1])
    return 2 * rows * math.prod(right[-2:])


def _convolution(node: _Node) -> int:
    kernel, made = node.inputs[1], node.outputs[0]
    return 2 * math.prod(made) * math.prod(kernel[1:]) if kernel and made else 0


def _trees(node: _Node) -> int:
    """One comparison per level of every tree, as if they were balanced."""
    leaves: dict[int, int] = {}
    ids, modes = node.attributes.get("nodes_treeids", ()), node.attributes.get("nodes_modes", ())
    for tree, mode in zip(ids, modes, strict=False):
        leaves[tree] = leaves.get(tree, 0) + (mode == b"LEAF")
    return sum(math.ceil(math.log2(count)) + 1 for count in leaves.values() if count)


def _linear(node: _Node) -> int:
    return 2 * len(node.attributes.get("coefficients", ()))


_COUNTED: Mapping[str, Callable[[_Node], int]] = {
    "MatMul": _product,
    "Gemm": _product,
    "Conv": _convolution,
    "TreeEnsembleClassifier": _trees,
    "TreeEnsembleRegressor": _trees,
    "LinearClassifier": _linear,
    "LinearRegressor": _linear,
}
