"""Requests to tensor models: the protocol's tensors as the arrays that a graph takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import BadRequestError
from .protocol.datatypes import BYTES, DATATYPES
from .protocol.messages import InferRequest, Output, Tensor
from .protocol.tensor_data import element_count, from_binary
from .runtime import TensorSpec


def feeds(inputs: Sequence[TensorSpec], tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """One array per input of the graph.

    Raises:
        BadRequestError: a tensor is missing or unknown, or has the wrong shape or datatype; names it.
    """
    known = {spec.name for spec in inputs}
    for name in tensors:
        if name not in known:
            raise BadRequestError(f"tensor {name!r} is no input of this model; it takes {', '.join(sorted(known))}")
    return {spec.name: _array(spec, tensors.get(spec.name)) for spec in inputs}


def described(request: InferRequest, inputs: Sequence[TensorSpec]) -> InferRequest:
    """A raw binary request with the tensor that its bytes are, as the Binary Tensor Data Extension infers it.

    Raises:
        BadRequestError: the model has several inputs, or the bytes don't say the shape of its only one.
    """
    raw = request.raw
    if raw is None:
        return request
    if len(inputs) != 1:
        names = ", ".join(spec.name for spec in inputs)
        raise BadRequestError(f"a body without a JSON part is for models of one input; this one has {names}")
    (spec,) = inputs
    if spec.datatype == BYTES:
        raw = len(raw).to_bytes(4, "little") + raw
        count = 1
    else:
        count = len(raw) // DATATYPES[spec.datatype].numpy.itemsize
    shape = _inferred(spec, count)
    data = from_binary(spec.name, DATATYPES[spec.datatype], element_count(spec.name, shape), raw)
    return request._replace(inputs={spec.name: Tensor(spec.name, spec.datatype, shape, data)})


def _inferred(spec: TensorSpec, count: int) -> list[int]:
    """The shape of so many elements."""
    if sum(extent < 0 for extent in spec.shape) > 1:
        raise BadRequestError(
            f"tensor {spec.name!r} has shape {list(spec.shape)}; the bytes alone don't tell more than one extent"
        )
    fixed = math.prod(extent for extent in spec.shape if extent >= 0)
    return [count // max(fixed, 1) if extent < 0 else extent for extent in spec.shape]


def row_count(feeds: Mapping[str, NDArray[Any]]) -> int:
    """What a request counts for in a queue and in a batch: its first input's first extent, at least 1."""
    first = next(iter(feeds.values()))
    return max(1, first.shape[0]) if first.ndim else 1


def _array(spec: TensorSpec, tensor: Tensor | None) -> NDArray[Any]:
    if tensor is None:
        raise BadRequestError(f"tensor {spec.name!r} is missing")
    if tensor.datatype != spec.datatype:
        raise BadRequestError(f"tensor {spec.name!r} has datatype {tensor.datatype}; {spec.datatype} is needed")
    if len(tensor.shape) != len(spec.shape) or not all(
        wanted in (-1, found) for wanted, found in zip(spec.shape, tensor.shape, strict=True)
    ):
        raise BadRequestError(f"tensor {spec.name!r} has shape {tensor.shape}; {list(spec.shape)} is needed")
    dtype = DATATYPES[spec.datatype].numpy
    try:
        return np.array(tensor.data, dtype=dtype).reshape(tensor.shape)
    except OverflowError as error:
        raise BadRequestError(f"tensor {spec.name!r} holds a value that is no {spec.datatype}: {error}") from error


def chosen(request: InferRequest, outputs: Sequence[TensorSpec], arrays: Sequence[NDArray[Any]]) -> list[Output]:
    """The outputs that the request asks for, in its order; all of them when it names none.

    Raises:
        BadRequestError: it names one that the model doesn't have.
    """
    made = {spec.name: Output(spec.name, spec.datatype, array) for spec, array in zip(outputs, arrays, strict=True)}
    check_outputs(request, outputs)
    return [made[output.name] for output in request.outputs] if request.outputs else list(made.values())


def check_outputs(request: InferRequest, outputs: Sequence[TensorSpec]) -> None:
    """Before anything is computed.

    Raises:
        BadRequestError: the request names an output that the model doesn't have.
    """
    known = [spec.name for spec in outputs]
    for output in request.outputs:
        if output.name not in known:
            raise BadRequestError(f"output {output.name!r} is unknown; this model has {', '.join(known)}")
