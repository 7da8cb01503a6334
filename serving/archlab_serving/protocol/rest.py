"""Requests and responses over REST: JSON, with the Binary Tensor Data Extension."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from ..errors import BadRequestError
from .datatypes import DATATYPES
from .messages import Answer, InferRequest, RequestedOutput, Tensor
from .tensor_data import element_count, from_binary, from_json, to_binary, to_json

HEADER_LENGTH = b"inference-header-content-length"

_TEXT_OR_CONSTANT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|-?\bInfinity\b|\bNaN\b', re.DOTALL)
"""Whole texts, so that a constant is found outside of them only."""
_CONSTANTS = {b"NaN": b"null", b"Infinity": b'"Infinity"', b"-Infinity": b'"-Infinity"'}


def parse_request(body: bytes, header_length: bytes | None = None) -> InferRequest:
    """The request in `body`; with the binary extension, `header_length` is where its JSON ends.

    Raises:
        BadRequestError: it is not a request of the protocol; names the tensor and what is wrong with it.
    """
    end = len(body) if header_length is None else _header_end(header_length, len(body))
    if end == 0 and body:
        return InferRequest("", {}, {}, (), binary_output=True, raw=body)
    document = _document(body if end == len(body) else body[:end])
    entries = document.get("inputs")
    if type(entries) is not list or not entries:
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
    request_id = document.get("id")
    if request_id is not None and type(request_id) is not str:
        raise BadRequestError("'id' must be a text")
    parameters = _parameters(document)
    binary_output = bool(parameters) and _flag("binary_data_output", parameters) is True
    outputs = document.get("outputs")
    requested = () if outputs is None else _requested(outputs)
    return InferRequest(request_id or "", inputs, parameters, requested, binary_output)


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
    binary: list[bytes] = []
    asked = {output.name: output.binary for output in request.outputs}
    for output in answer.outputs:
        entry: dict[str, Any] = {
            "name": output.name,
            "datatype": output.datatype,
            "shape": output.array.shape,
        }
        wanted = asked.get(output.name)
        if request.binary_output if wanted is None else wanted:
            data = to_binary(output)
            entry["parameters"] = {"binary_data_size": len(data)}
            binary.append(data)
        else:
            entry["data"] = to_json(output)
        entries.append(entry)
    head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((head, *binary)), len(head)) if binary else (head, None)


def _header_end(header_length: bytes, total: int) -> int:
    if not header_length.isdigit() or len(header_length) > 18 or int(header_length) > total:
        shown = header_length.decode("latin-1")
        raise BadRequestError(f"Inference-Header-Content-Length is {shown!r}, the body has {total} bytes")
    return int(header_length)


def _document(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        document = _with_constants(raw, error)
    if type(document) is not dict:
        raise BadRequestError("the body must be a JSON object with 'inputs'")
    return document


def _with_constants(raw: bytes, error: orjson.JSONDecodeError) -> Any:
    """JSON with `NaN` and `Infinity` in it, which some clients write although no JSON has them."""
    if b"NaN" in raw or b"Infinity" in raw:
        standard = _TEXT_OR_CONSTANT.sub(lambda found: _CONSTANTS.get(found[0], found[0]), raw)
        try:
            return orjson.loads(standard)
        except orjson.JSONDecodeError as still:
            error = still
    raise BadRequestError(f"the body is not JSON: {error}") from error


def _tensor(entry: Any, body: bytes, offset: int) -> tuple[Tensor, int]:
    """One tensor, and where the next one's binary data begins."""
    if type(entry) is not dict or type(name := entry.get("name")) is not str:
        raise BadRequestError("every tensor needs a 'name'")
    datatype = entry.get("datatype")
    kind = DATATYPES.get(datatype) if type(datatype) is str else None
    if kind is None:
        known = ", ".join(DATATYPES)
        raise BadRequestError(f"tensor {name!r} has datatype {datatype!r}; this server takes {known}")
    shape: Any = entry.get("shape")
    size = element_count(name, shape)
    parameters = entry.get("parameters")
    if parameters is not None and (binary_size := _binary_size(name, parameters)) is not None:
        if entry.get("data") is not None:
            raise BadRequestError(f"tensor {name!r} has 'data' and binary_data_size; one of them is needed")
        end = _binary_end(name, binary_size, offset, len(body))
        return Tensor(name, kind.name, shape, from_binary(name, kind, size, body[offset:end])), end
    return Tensor(name, kind.name, shape, from_json(name, kind, shape, size, entry.get("data"))), offset


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
    if type(outputs) is not list or not all(type(o) is dict and type(o.get("name")) is str for o in outputs):
        raise BadRequestError("'outputs' must be a list of objects with a 'name'")
    if len({output["name"] for output in outputs}) < len(outputs):
        raise BadRequestError("'outputs' names an output twice")
    return tuple(RequestedOutput(output["name"], _wants_binary(output)) for output in outputs)


def _wants_binary(output: Mapping[str, Any]) -> bool | None:
    parameters = _parameters(output)
    if "classification" in parameters:
        raise BadRequestError(f"output {output['name']!r}: the classification extension is not offered")
    if "shared_memory_region" in parameters:
        raise BadRequestError(f"output {output['name']!r}: shared memory is not offered")
    return _flag("binary_data", parameters)


def _flag(name: str, parameters: Mapping[str, Any]) -> bool | None:
    value = parameters.get(name)
    if value is not None and type(value) is not bool:
        raise BadRequestError(f"parameter {name!r} is {value!r}; true or false is needed")
    return value
