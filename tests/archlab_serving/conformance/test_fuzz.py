"""Arbitrary bodies at a running server: 4xx with an error object, or an answer; never 5xx, and it keeps serving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.archlab_serving.conformance.conftest import EVERY_TYPE, HEADER_LENGTH, SAMPLES, Array, infer, request, same
from tests.archlab_serving.conftest import RunningServer

MODELS = (
    same("FP32"),
    same("BYTES"),
    same("BOOL"),
    same("INT64"),
    same("FP16"),
    EVERY_TYPE,
    "scalar",
    "free",
    "delay",
    "reliability",
)
LENGTH = HEADER_LENGTH.encode()
ENCODINGS = st.sampled_from([b"gzip", b"deflate", b"br", b"identity", b"gzip, gzip", b"\xff"])
FEW = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5)
)
names = st.sampled_from(
    ["name", "datatype", "shape", "data", "parameters", "binary_data_size", "inputs", "outputs", "id"]
)
values = st.recursive(
    scalars | st.sampled_from([*SAMPLES, "x", "x_out", "features"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(
            ["x", "features", "origin", "distance", "tailnum", *(name.lower() for name in SAMPLES)]
        ),
        "datatype": st.sampled_from(sorted(SAMPLES)),
        "shape": st.lists(st.integers(0, 3), max_size=3),
        "data": st.lists(scalars, max_size=6) | values,
    },
    optional={"parameters": values},
)


def refused_or_answered(server: RunningServer, model: str, content: bytes, headers: dict[bytes, bytes]) -> int:
    answer = server.client.post(f"/v2/models/{model}/infer", content=content, headers=headers)
    assert answer.status_code == 200 or 400 <= answer.status_code < 500, answer.text
    if answer.status_code != 200:
        assert list(answer.json()) == ["error"]
    return answer.status_code


@pytest.fixture
def still_serving(server: RunningServer) -> Callable[[], None]:
    """Asks for something that has an answer."""

    def ask() -> None:
        reply = infer(server, same("FP32"), *request(Array("x", "FP32", [1, 2], [1.5, 2.5])))
        assert reply.values["x_out"] == [1.5, 2.5]

    return ask


@given(model=st.sampled_from(MODELS), content=st.binary(max_size=300), length=st.none() | st.integers(1, 400))
@FEW
def test_any_bytes(
    server: RunningServer, still_serving: Callable[[], None], model: str, content: bytes, length: int | None
) -> None:
    headers = {} if length is None else {LENGTH: b"%d" % length}
    assert refused_or_answered(server, model, content, headers) == 400
    still_serving()


@given(model=st.sampled_from(MODELS), content=st.binary(max_size=64))
@FEW
def test_any_raw_binary(server: RunningServer, model: str, content: bytes) -> None:
    refused_or_answered(server, model, content, {LENGTH: b"0"})


@given(model=st.sampled_from(MODELS), document=st.dictionaries(names, values, max_size=5), data=st.binary(max_size=30))
@FEW
def test_any_json(server: RunningServer, model: str, document: dict[str, Any], data: bytes) -> None:
    head = orjson.dumps(document)
    refused_or_answered(server, model, head + data, {LENGTH: b"%d" % len(head)})


@given(
    model=st.sampled_from(MODELS),
    inputs=st.lists(tensors, min_size=1, max_size=3),
    fields=st.fixed_dictionaries({}, optional={"outputs": values, "parameters": values, "id": values}),
)
@settings(FEW, max_examples=400)
def test_any_tensors(server: RunningServer, model: str, inputs: list[Any], fields: dict[str, Any]) -> None:
    refused_or_answered(server, model, orjson.dumps({"inputs": inputs, **fields}), {})


@given(content=st.binary(max_size=100), encoding=ENCODINGS)
@FEW
def test_any_packed_body(
    server: RunningServer, still_serving: Callable[[], None], content: bytes, encoding: bytes
) -> None:
    assert refused_or_answered(server, same("FP32"), content, {b"content-encoding": encoding}) in (400, 415)
    still_serving()


@given(
    verb=st.sampled_from(["index", "models/gate/load", "models/gate/unload"]),
    content=st.binary(max_size=100) | values.map(orjson.dumps),
)
@FEW
def test_any_operators_body(server: RunningServer, verb: str, content: bytes) -> None:
    answer = server.client.post(f"/v2/repository/{verb}", content=content, headers={"x-archlab-scope": "operator"})
    assert answer.status_code in (200, 400, 404), answer.text
