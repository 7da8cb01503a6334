"""Requests and responses of the Open Inference Protocol V2 over REST, with the Binary Tensor Data Extension.

Pure: bytes in, tensors out, and back. JSON has no NaN: `null` in a floating-point tensor is NaN, both ways. What is
made at every request is a named tuple: immutable, and half the price of a frozen dataclass.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from types import NoneType
from typing import Any, NamedTuple, cast

import numpy as np
import orjson
from numpy.typing import NDArray

from .errors import BadRequestError

OUTPUT = "prediction"
HEADER_LENGTH = b"inference-header-content-length"
_NUMPY: dict[str, np.dtype[Any]] = {
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
}
_JSON_TYPES: dict[str, frozenset[type]] = {
    "FP32": frozenset({float, int, NoneType}),
    "FP64": frozenset({float, int, NoneType}),
    "INT32": frozenset({int}),
    "INT64": frozenset({int}),
    "BYTES": frozenset({str}),
}
DATATYPES = frozenset(_JSON_TYPES)

Data = Sequence[Any] | NDArray[Any]


class Tensor(NamedTuple):
    """One input. `data` is flat, row-major, its length the product of `shape`; text for BYTES, numbers otherwise."""

    name: str
    datatype: str
    shape: list[int]
    data: Data

    @property
    def texts(self) -> Sequence[str]:
        """The elements of a BYTES tensor."""
        return cast("Sequence[str]", self.data)


class InferRequest(NamedTuple):
    """A parsed request."""

    id: str
    inputs: Mapping[str, Tensor]
    binary_output: bool


class Answer(NamedTuple):
    """What a response says: predictions `[N]` and where they came from."""

    model: str
    version: str
    id: str
    prediction: NDArray[np.float32]
    parameters: Mapping[str, str | int]


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
    return InferRequest(request_id, inputs, _binary_output(document))


def format_response(answer: Answer, *, binary: bool) -> tuple[bytes, int | None]:
    """The response's body; with the binary extension also the length of its JSON part."""
    output: dict[str, Any] = {"name": OUTPUT, "datatype": "FP32", "shape": [len(answer.prediction), 1]}
    document: dict[str, Any] = {"model_name": answer.model, "model_version": answer.version}
    if answer.id:
        document["id"] = answer.id
    document["parameters"] = answer.parameters
    document["outputs"] = [output]
    if not binary:
        output["data"] = answer.prediction
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), None
    data = answer.prediction.astype("<f4", copy=False).tobytes()
    output["parameters"] = {"binary_data_size": len(data)}
    header = orjson.dumps(document)
    return header + data, len(header)


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
        return Tensor(name, datatype, shape, _binary_data(name, datatype, size, body[offset:end])), end
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
    allowed = _JSON_TYPES[datatype]
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


def _binary_data(name: str, datatype: str, size: int, raw: bytes) -> Data:
    if datatype == "BYTES":
        return _binary_texts(name, size, raw)
    dtype = _NUMPY[datatype]
    if len(raw) != size * dtype.itemsize:
        raise BadRequestError(f"tensor {name!r} has {len(raw)} bytes, its shape needs {size * dtype.itemsize}")
    return np.frombuffer(raw, dtype=dtype)


def _binary_texts(name: str, size: int, raw: bytes) -> list[str]:
    """Elements of a BYTES tensor: each a 4-byte little-endian length, then that many bytes."""
    texts: list[str] = []
    offset = 0
    try:
        while offset < len(raw):
            (length,) = struct.unpack_from("<I", raw, offset)
            offset += 4 + length
            if offset > len(raw):
                raise BadRequestError(f"tensor {name!r} ends within an element")
            texts.append(raw[offset - length : offset].decode())
    except (struct.error, UnicodeDecodeError) as error:
        raise BadRequestError(f"tensor {name!r} is not a BYTES tensor of UTF-8 texts: {error}") from error
    if len(texts) != size:
        raise BadRequestError(f"tensor {name!r} has {len(texts)} elements, its shape needs {size}")
    return texts


def _binary_output(document: Mapping[str, Any]) -> bool:
    parameters = document.get("parameters")
    wanted = bool(parameters.get("binary_data_output")) if isinstance(parameters, dict) else False
    outputs = document.get("outputs")
    if not outputs:
        return wanted
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise BadRequestError("'outputs' must be a list of objects")
    for output in outputs:
        if output.get("name") != OUTPUT:
            raise BadRequestError(f"output {output.get('name')!r} is unknown; models have one, {OUTPUT!r}")
        asked = output.get("parameters")
        if isinstance(asked, dict):
            if "classification" in asked:
                raise BadRequestError(f"output {OUTPUT!r}: the classification extension is not offered")
            wanted = bool(asked.get("binary_data", wanted))
    return wanted
