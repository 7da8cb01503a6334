"""Tensors that no model should have to see: answered or refused, and the server goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, linear_model

from keep_asking import ROWS, ZEROS

COLUMNS: dict[str, Any] = {"columns": [{"name": name, "source": "request"} for name in "abcde"], "keys": []}
INFER = "/v2/models/delay/infer"
MAX_BODY_BYTES = 1 << 20


@pytest.fixture(scope="module")
def server(shared_lab: Lab, shared_launch: Launcher) -> Iterator[RunningServer]:
    shared_lab.publish(
        shared_lab.release(linear_model([1.0] * 5, 7.0), **COLUMNS),
        shared_lab.release(linear_model([1.0] * 5, 7.0), model="plain", columns=[], keys=[]),
    )
    started = shared_launch.start(extra={"ARCHLAB_SERVING_MAX_BODY_BYTES": str(MAX_BODY_BYTES)})
    yield started
    assert started.client.post(INFER, json=ZEROS).json()["outputs"][0]["data"] == [7.0] * ROWS
    assert "Traceback" not in started.log.read_text()


def tensor(data: Any, shape: list[Any], **changes: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "features", "datatype": "FP32", "shape": shape, "data": data, **changes}]}


def json_tensor(data: str, rows: int) -> str:
    """A request whose data is written by hand."""
    return f'{{"inputs":[{{"name":"features","datatype":"FP32","shape":[{rows},5],"data":[{data}]}}]}}'


def binary(values: np.ndarray[Any, Any]) -> tuple[bytes, dict[str, str]]:
    """A request with the binary extension that asks for a binary answer."""
    raw = values.astype("<f4").tobytes()
    entry = {"name": "features", "datatype": "FP32", "shape": list(values.shape)}
    head = orjson.dumps(
        {
            "inputs": [{**entry, "parameters": {"binary_data_size": len(raw)}}],
            "outputs": [{"name": "prediction", "parameters": {"binary_data": True}}],
        }
    )
    return head + raw, {"inference-header-content-length": str(len(head))}


@pytest.mark.parametrize("model", ["delay", "plain"])
@pytest.mark.parametrize(("value", "answer"), [(math.nan, math.nan), (math.inf, math.inf), (-math.inf, -math.inf)])
def test_what_is_not_finite_passes_through_in_binary(
    server: RunningServer, model: str, value: float, answer: float
) -> None:
    content, headers = binary(np.array([[value, 0, 0, 0, 0], [1, 1, 1, 1, 1]]))
    reply = server.client.post(f"/v2/models/{model}/infer", content=content, headers=headers)
    assert reply.status_code == 200, reply.text
    head = int(reply.headers["inference-header-content-length"])
    found = np.frombuffer(reply.content[head:], dtype="<f4")
    np.testing.assert_array_equal(found, np.array([answer, 12.0], dtype=np.float32))


@pytest.mark.parametrize(
    ("literal", "answer"), [("null", None), ("NaN", None), ("Infinity", "Infinity"), ("-Infinity", "-Infinity")]
)
def test_what_is_not_finite_passes_through_in_json(server: RunningServer, literal: str, answer: object) -> None:
    """Python's own `json` writes such constants."""
    reply = server.client.post(INFER, content=json_tensor(f"{literal},0,0,0,0,1,1,1,1,1", 2))
    assert reply.json()["outputs"][0]["data"] == [answer, 12.0]


@pytest.mark.parametrize("literal", ["1e999", "1e300", "-3.5e38"])
def test_a_number_that_float32_does_not_hold_is_refused(server: RunningServer, literal: str) -> None:
    reply = server.client.post(INFER, content=json_tensor(f"{literal},0,0,0,0", 1))
    assert reply.status_code == 400
    assert "infinity" in reply.json()["error"] or "can't hold" in reply.json()["error"]


@pytest.mark.parametrize("model", ["delay", "plain"])
@pytest.mark.parametrize(
    "shape",
    [
        [1 << 62, 5],
        [1 << 40, 1 << 40],
        [1 << 200, 5],
        [-1, 5],
        [0, 5],
        [1.0, 5],
        [True, 5],
        [],
        [1] * 64,
        [1] * 10_000,
    ],
    ids=lambda shape: f"{len(shape)}x{str(shape[:1])[:12]}",
)
def test_a_shape_that_the_data_does_not_have(server: RunningServer, model: str, shape: list[Any]) -> None:
    reply = server.client.post(f"/v2/models/{model}/infer", json=tensor([0.0] * 5, shape))
    assert reply.status_code == 400
    assert "features" in reply.json()["error"]
    content, headers = binary(np.zeros((1, 5)))
    spoilt = content.replace(b"[1,5]", orjson.dumps(shape) if shape != [1 << 200, 5] else b"[9e99,5]")
    headers = {name: str(int(length) + len(spoilt) - len(content)) for name, length in headers.items()}
    assert server.client.post(f"/v2/models/{model}/infer", content=spoilt, headers=headers).status_code == 400


def test_more_rows_than_are_taken(server: RunningServer) -> None:
    reply = server.client.post(INFER, json=tensor([0] * 5 * 5000, [5000, 5]))
    assert reply.status_code == 400
    assert "1 to 4096" in reply.json()["error"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_is_not_read_to_its_end(server: RunningServer, chunked: bool) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(64):
            yield b"[" * (MAX_BODY_BYTES // 8)

    before = server.rss_bytes()
    content: Any = parts() if chunked else b"[" * (8 * MAX_BODY_BYTES)
    reply = server.client.post(INFER, content=content)
    assert reply.status_code == 413
    assert str(MAX_BODY_BYTES) in reply.json()["error"]
    assert server.rss_bytes() - before < 4 * MAX_BODY_BYTES


def test_nesting_without_end_is_refused(server: RunningServer) -> None:
    for content in (b"[" * 500_000, b'{"inputs":' * 50_000, orjson.dumps(tensor([0] * 5, [1, 5]))[:-1]):
        assert server.client.post(INFER, content=content).status_code == 400
    data = orjson.loads(b"[" * 200 + b"0" + b"]" * 200)
    assert server.client.post(INFER, json=tensor(data, [1, 1])).status_code == 400
