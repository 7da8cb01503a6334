"""Formats: every server is asked for the same float32 values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from benchmarks.serving.models import COLUMNS, rows
from benchmarks.serving.wire import BENTOML, HEADER_LENGTH, MLFLOW, V2_BINARY, V2_JSON, post


def test_json_and_binary_carry_the_same_values() -> None:
    matrix = rows(3)
    flat = json.loads(V2_JSON.write(matrix)[1])["inputs"][0]
    assert flat["shape"] == [3, COLUMNS]
    sent = [
        np.array(flat["data"], dtype=np.float32),
        np.array(json.loads(MLFLOW.write(matrix)[1])["inputs"]["features"], dtype=np.float32).ravel(),
        np.array(json.loads(BENTOML.write(matrix)[1])["features"], dtype=np.float32).ravel(),
        np.frombuffer(V2_BINARY.write(matrix)[1][-3 * COLUMNS * 4 :], dtype="<f4"),
    ]
    for values in sent:
        assert np.array_equal(values, matrix.ravel())


def test_a_binary_answer_must_be_as_long_as_it_says() -> None:
    head = b'{"outputs":[{"name":"prediction","datatype":"FP32","parameters":{"binary_data_size":8}}]}'
    headers = {HEADER_LENGTH.lower().encode(): str(len(head)).encode()}
    raw = np.array([1.5, -2.0], dtype="<f4").tobytes()
    assert V2_BINARY.read(headers, head + raw).tolist() == [[1.5], [-2.0]]
    with pytest.raises(ValueError, match="4 bytes of tensor"):
        V2_BINARY.read(headers, head + raw[:4])


def test_a_request_announces_the_bytes_of_its_body() -> None:
    head, _, body = post("/x", "h", {"Content-Type": "text/plain"}, "é".encode()).partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"POST /x HTTP/1.1"
    assert b"content-length: 2" in head.splitlines()
    assert body == "é".encode()
