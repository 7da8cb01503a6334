"""Requests and responses over REST: JSON, with the Binary Tensor Data Extension.

JSON has no NaN: `null` in a floating-point tensor is NaN, both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from types import NoneType
from typing import Any

import orjson

from ..errors import BadRequestError
from . import binary
from .datatypes import BYTES, DATATYPES
from .messages import Answer, Data, InferRequest, RequestedOutput, Tensor

HEADER_LENGTH = b"inference-header-content-length"


def parse_request(body: bytes, header_length: bytes | None = None) -> InferRequest:
    """The request in `body`; with the binary extension, `header_length` is where its JSON ends.

    Raises:
        BadRequestError: it is not a request of the protocol; names the tensor and what is wrong with it.
    """
    end = len(body) if header_length is None else _header_end(header_length, len(body))
    document = _document(body if end == len(body) else body[:end])
    entries = document.get("inputs")
    if not isinstance(entries, list) or not entries:
        raise BadRequestError("'inputs' must be a list of at least one tensor")
    inputs: dict[str, Tensor] = {}
    offset = end
    for entry in entries:
        tensor, offset = _tensor(entry, body, offset)
        if tensor.name in inputs:
            raise BadRequestError(f"tensor {tensor.name!r} is given twice")
        inputs[tensor.name] = tensor
    if offset != len(body):
        raise BadRequestError(f"{len(body) - offset} bytes after the last tensor belong to no tensor")
    request_id = document.get("id", "")
    if not isinstance(request_id, str):
        raise BadRequestError("'id' must be a text")
    parameters = _parameters(document)
    outputs = _requested(document.get("outputs"))
    return InferRequest(request_id, inputs, parameters, outputs, bool(parameters.get("binary_data_output", False)))


def format_response(answer: Answer, request: InferRequest) -> tuple[bytes, int | None]:
    """The response's body; with the binary extension also the length of its JSON part.

    `answer.outputs` are those that `request` asks for, in its order.
    """
    entries: list[dict[str, Any]] = []
    document: dict[str, Any] = {"model_name": answer.model, "model_version": answer.version}
    if answer.id:
        document["id"] = answer.id
    document["parameters"] = answer.parameters
    document["outputs"] = entries
    parts: list[bytes] = []
    asked = {output.name: output.binary for output in request.outputs}
    for output in answer.outputs:
        entry: dict[str, Any] = {
            "name": output.name,
            "datatype": output.datatype,
            "shape": output.array.shape,
        }
        wanted = asked.get(output.name)
        if request.binary_output if wanted is None else wanted:
            data = binary.encode(output)
            entry["parameters"] = {"binary_data_size": len(data)}
            parts.append(data)
        else:
            flat = output.array.ravel()
            entry["data"] = flat.tolist() if output.datatype == BYTES else flat
        entries.append(entry)
    head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((head, *parts)), len(head)) if parts else (head, None)


def _header_end(header_length: bytes, total: int) -> int:
    if not header_length.isdigit() or int(header_length) > total:
        shown = header_length.decode("latin-1")
        raise BadRequestError(f"Inference-Header-Content-Length is {shown!r}, the body has {total} bytes")
    return int(header_length)


def _document(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON ({error}); NaN is written as null") from error
    if not isinstance(document, dict):
        raise BadRequestError("the body must be a JSON object with 'inputs'")
    return document


def _tensor(entry: Any, body: bytes, offset: int) -> tuple[Tensor, int]:
    """One tensor, and where the next one's binary data begins."""
    if type(entry) is not dict or type(name := entry.get("name")) is not str:
        raise BadRequestError("every tensor needs a 'name'")
    datatype = entry.get("datatype")
    if type(datatype) is not str or datatype not in DATATYPES:
        known = ", ".join(sorted(DATATYPES))
        raise BadRequestError(f"tensor {name!r} has datatype {datatype!r}; this server takes {known}")
    shape: Any = entry.get("shape")
    size = _size(name, shape)
    parameters = entry.get("parameters")
    if parameters and (binary_size := _binary_size(name, parameters)) is not None:
        end = _binary_end(name, binary_size, offset, len(body))
        return Tensor(name, datatype, shape, binary.decode(name, datatype, size, body[offset:end])), end
    return Tensor(name, datatype, shape, _json_data(name, datatype, size, entry.get("data"))), offset


def _size(name: str, shape: Any) -> int:
    """How many elements a tensor of this shape has."""
    if type(shape) is not list or not shape:
        raise BadRequestError(f"tensor {name!r} has shape {shape!r}; a list of whole numbers is needed")
    size = 1
    for extent in shape:
        if type(extent) is not int or extent < 0:
            raise BadRequestError(f"tensor {name!r} has shape {shape!r}; a list of whole numbers is needed")
        size *= extent
    return size


def _json_data(name: str, datatype: str, size: int, given: Any) -> Data:
    if type(given) is not list:
        raise BadRequestError(f"tensor {name!r} has no 'data'")
    data: list[Any] = given
    while data and type(data[0]) is list:
        if any(type(item) is not list for item in data):
            raise BadRequestError(f"tensor {name!r} mixes values and lists in its 'data'")
        data = list(chain.from_iterable(data))
    if len(data) != size:
        raise BadRequestError(f"tensor {name!r} has {len(data)} values, its shape needs {size}")
    allowed = DATATYPES[datatype].json_types
    if not allowed.issuperset(map(type, data)):
        strange = set(map(type, data)) - allowed
        kinds = ", ".join(sorted("null" if kind is NoneType else kind.__name__ for kind in strange))
        raise BadRequestError(f"tensor {name!r} of datatype {datatype} holds values of type {kinds}")
    return data


def _binary_size(name: str, parameters: Any) -> Any:
    if type(parameters) is not dict:
        raise BadRequestError(f"tensor {name!r}: 'parameters' must be an object")
    if "shared_memory_region" in parameters:
        raise BadRequestError(f"tensor {name!r} is in shared memory, which this server doesn't offer")
    return parameters.get("binary_data_size")


def _binary_end(name: str, size: Any, offset: int, total: int) -> int:
    if type(size) is not int or size < 0 or offset + size > total:
        raise BadRequestError(
            f"tensor {name!r} says binary_data_size {size!r}, {total - offset} bytes are left; "
            "is Inference-Header-Content-Length set?"
        )
    return offset + size


def _parameters(document: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = document.get("parameters")
    if parameters is None:
        return {}
    if type(parameters) is not dict:
        raise BadRequestError("'parameters' must be an object")
    return parameters


def _requested(outputs: Any) -> tuple[RequestedOutput, ...]:
    if not outputs:
        return ()
    if type(outputs) is not list or not all(type(o) is dict and type(o.get("name")) is str for o in outputs):
        raise BadRequestError("'outputs' must be a list of objects with a 'name'")
    return tuple(RequestedOutput(output["name"], _wants_binary(output)) for output in outputs)


def _wants_binary(output: Mapping[str, Any]) -> bool | None:
    parameters = _parameters(output)
    if "classification" in parameters:
        raise BadRequestError(f"output {output['name']!r}: the classification extension is not offered")
    wanted = parameters.get("binary_data")
    return None if wanted is None else bool(wanted)
