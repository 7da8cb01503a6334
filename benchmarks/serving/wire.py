"""What a request for a matrix of features looks like to each kind of server, and what its answer says; pure.

Values go out with four decimals, as features mostly come, and are the same float32 for every reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

DECIMALS = 4
INPUT, OUTPUT = "features", "prediction"
HEADER_LENGTH = "Inference-Header-Content-Length"

Matrix = NDArray[np.float32]
Headers = Mapping[bytes, bytes]


class Format(NamedTuple):
    """How to ask, and how to read the answer."""

    write: Callable[[Matrix], tuple[dict[str, str], bytes]]
    """Headers beside those of every request, and the body."""
    read: Callable[[Headers, bytes], Matrix]
    """Predictions `[N, 1]` of an answer with status 200; header names in lower case."""


def post(path: str, host: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A POST as HTTP/1.1 wants it; the connection stays open."""
    lines = [f"POST {path} HTTP/1.1", f"host: {host}", "accept: */*", f"content-length: {len(body)}"]
    lines += [f"{name.lower()}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


def values(matrix: Matrix) -> list[list[float]]:
    """The rows as JSON numbers of four decimals."""
    rows: list[list[float]] = np.round(matrix.astype(np.float64), DECIMALS).tolist()
    return rows


def _json(document: Any) -> tuple[dict[str, str], bytes]:
    return {"content-type": "application/json"}, orjson.dumps(document)


def _write_v2(matrix: Matrix) -> tuple[dict[str, str], bytes]:
    flat = [value for row in values(matrix) for value in row]
    return _json({"inputs": [{"name": INPUT, "datatype": "FP32", "shape": list(matrix.shape), "data": flat}]})


def _read_v2(_: Headers, body: bytes) -> Matrix:
    return _tensor(orjson.loads(body)["outputs"][0])


def _tensor(tensor: Mapping[str, Any]) -> Matrix:
    return np.array(tensor["data"], dtype=np.float32).reshape(-1, 1)


def _write_binary(matrix: Matrix) -> tuple[dict[str, str], bytes]:
    raw = np.ascontiguousarray(matrix, dtype="<f4").tobytes()
    head = orjson.dumps(
        {
            "inputs": [
                {
                    "name": INPUT,
                    "datatype": "FP32",
                    "shape": list(matrix.shape),
                    "parameters": {"binary_data_size": len(raw)},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    )
    return {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(head))}, head + raw


def _read_binary(headers: Headers, body: bytes) -> Matrix:
    length = int(headers[HEADER_LENGTH.lower().encode()])
    (tensor,) = orjson.loads(body[:length])["outputs"]
    if tensor["parameters"]["binary_data_size"] != len(body) - length:
        raise ValueError(f"{len(body) - length} bytes of tensor, {tensor['parameters']} announced")
    return np.frombuffer(body[length:], dtype="<f4").reshape(-1, 1)


def _write_mlflow(matrix: Matrix) -> tuple[dict[str, str], bytes]:
    return _json({"inputs": {INPUT: values(matrix)}})


def _read_mlflow(_: Headers, body: bytes) -> Matrix:
    return np.array(orjson.loads(body)["predictions"][OUTPUT], dtype=np.float32).reshape(-1, 1)


def _write_bentoml(matrix: Matrix) -> tuple[dict[str, str], bytes]:
    return _json({INPUT: values(matrix)})


def _read_bentoml(_: Headers, body: bytes) -> Matrix:
    return np.array(json.loads(body), dtype=np.float32).reshape(-1, 1)


V2_JSON = Format(_write_v2, _read_v2)
"""Open Inference Protocol V2, JSON, data flat."""
V2_BINARY = Format(_write_binary, _read_binary)
"""The same with the Binary Tensor Data Extension, both ways."""
MLFLOW = Format(_write_mlflow, _read_mlflow)
"""`/invocations` of an MLflow model with a tensor signature."""
BENTOML = Format(_write_bentoml, _read_bentoml)
"""A BentoML API with one NumPy argument."""
