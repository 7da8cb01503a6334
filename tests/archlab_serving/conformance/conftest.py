"""One server with graphs that answer what they are given, for every datatype; the tests here leave it as it is.

The modules beside this one follow the Open Inference Protocol's specification for HTTP/REST, section by section.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from tests.archlab_serving.conftest import RunningServer, launcher, short_lab

from archlab_serving.protocol.datatypes import DATATYPES

ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    **{f"{sign}INT{bits}": getattr(TensorProto, f"{sign}INT{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)},
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
DATATYPE_NAMES = tuple(ONNX_TYPES)
CODES = dict(zip(DATATYPE_NAMES, "?bhiqBHIQefd", strict=False))
"""What `struct` calls an element of a fixed size."""
FLOATS = ("FP16", "FP32", "FP64")
HEADER_LENGTH = "Inference-Header-Content-Length"
EVERY_TYPE = "every-type"


def _integers(datatype: str) -> list[int]:
    limits = np.iinfo(DATATYPES[datatype].numpy)
    return [int(limits.min), int(limits.max), 1, 0]


SAMPLES: dict[str, list[Any]] = {
    "BOOL": [True, False, False, True],
    **{name: _integers(name) for name in DATATYPE_NAMES if "INT" in name},
    "FP16": [65504.0, -0.5, 6e-8, 0.0],
    "FP32": [3.4028234663852886e38, -0.5, 1e-45, 0.0],
    "FP64": [1.7976931348623157e308, -0.1, 5e-324, 0.0],
    "BYTES": ["", "Zürich", 'a "quoted"\n\x00 text', "飛行機"],
}
"""Four values of each datatype, at its ends where it has any."""


class Array(NamedTuple):
    """A tensor of a message."""

    name: str
    datatype: str
    shape: list[int]
    values: list[Any]


def graph(inputs: dict[str, tuple[str, Sequence[Any]]]) -> bytes:
    """A graph with an output `NAME_out` for every input, equal to it."""
    ins = [helper.make_tensor_value_info(n, ONNX_TYPES[t], shape) for n, (t, shape) in inputs.items()]
    outs = [helper.make_tensor_value_info(f"{n}_out", ONNX_TYPES[t], shape) for n, (t, shape) in inputs.items()]
    nodes = [helper.make_node("Identity", [n], [f"{n}_out"]) for n in inputs]
    made = helper.make_graph(nodes, "identity", ins, outs)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def same(datatype: str) -> str:
    """The model with one tensor of that datatype, shape `[-1, 2]`."""
    return f"same-{datatype.lower()}"


MODELS = {
    **{same(name): graph({"x": (name, ["rows", 2])}) for name in DATATYPE_NAMES},
    EVERY_TYPE: graph({name.lower(): (name, ["rows"]) for name in DATATYPE_NAMES}),
    "scalar": graph({"x": ("FP32", [])}),
    "free": graph({"x": ("FP32", ["rows", "columns"])}),
    "fixed": graph({"x": ("FP32", [2, 2])}),
}


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    with short_lab() as lab, launcher(lab) as launch:
        releases = [lab.release(data, model=name, columns=[], keys=[]) for name, data in MODELS.items()]
        lab.publish(*releases, lab.onnx("1"), lab.onnx("2", bias=7, role="challenger"), lab.table({"N1": 0.25}))
        yield launch.start(port=True)


def pack(datatype: str, values: Sequence[Any]) -> bytes:
    """Binary data as the extension describes it, made by `struct` alone."""
    if datatype == "BYTES":
        encoded = [text.encode() for text in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in encoded)
    return struct.pack(f"<{len(values)}{CODES[datatype]}", *values)


def request(
    *arrays: Array, binary: bool = False, outputs: list[dict[str, Any]] | None = None, **fields: Any
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an inference request."""
    entries: list[dict[str, Any]] = []
    data = b""
    for array in arrays:
        entry: dict[str, Any] = {"name": array.name, "datatype": array.datatype, "shape": array.shape}
        if binary:
            raw = pack(array.datatype, array.values)
            entry["parameters"] = {"binary_data_size": len(raw)}
            data += raw
        else:
            entry["data"] = array.values
        entries.append(entry)
    head = orjson.dumps({"inputs": entries, **({} if outputs is None else {"outputs": outputs}), **fields})
    return head + data, {HEADER_LENGTH: str(len(head))} if binary else {}


class Reply(NamedTuple):
    """An inference response, its outputs' elements by name."""

    document: dict[str, Any]
    values: dict[str, list[Any]]
    headers: Any


def infer(server: RunningServer, model: str, content: bytes, headers: dict[str, str] | None = None) -> Reply:
    """Asks, and reads the response by the specification alone."""
    answer = server.client.post(f"/v2/models/{model}/infer", content=content, headers=headers or {})
    assert answer.status_code == 200, answer.text
    length = answer.headers.get(HEADER_LENGTH)
    end = len(answer.content) if length is None else int(length)
    document, offset = orjson.loads(answer.content[:end]), end
    values: dict[str, list[Any]] = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            values[output["name"]] = output["data"]
        else:
            assert "data" not in output
            values[output["name"]] = unpack(output["datatype"], answer.content[offset : offset + size])
            offset += size
    assert offset == len(answer.content)
    return Reply(document, values, answer.headers)


def unpack(datatype: str, raw: bytes) -> list[Any]:
    """The inverse of `pack`."""
    if datatype != "BYTES":
        array: NDArray[Any] = np.frombuffer(raw, DATATYPES[datatype].numpy)
        return list(array.tolist())
    texts, offset = [], 0
    while offset < len(raw):
        (length,) = struct.unpack_from("<I", raw, offset)
        texts.append(raw[offset + 4 : offset + 4 + length].decode())
        offset += 4 + length
    return texts


def equal(datatype: str, left: Sequence[Any], right: Sequence[Any]) -> bool:
    """Whether both hold the same elements: of the same type, floats to their datatype's last bit, `null` being NaN."""
    if datatype not in FLOATS:
        return list(left) == list(right) and list(map(type, left)) == list(map(type, right))
    dtype = DATATYPES[datatype].numpy
    one, other = (np.array([math.nan if v is None else float(v) for v in side], dtype) for side in (left, right))
    return np.array_equal(one, other, equal_nan=True) and np.array_equal(np.signbit(one), np.signbit(other))


def error(server: RunningServer, model: str, content: bytes, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and message of a request that is refused, which have the form of the specification's error object."""
    answer = server.client.post(f"/v2/models/{model}/infer", content=content, headers=headers or {})
    document = answer.json()
    assert list(document) == ["error"]
    assert isinstance(document["error"], str)
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, document["error"]
