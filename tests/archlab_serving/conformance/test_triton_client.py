"""An unmodified `tritonclient.http`, sync and asyncio: every datatype, both forms, compression both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.archlab_serving.conformance.conftest import DATATYPE_NAMES, EVERY_TYPE, SAMPLES, same
from tests.archlab_serving.conftest import RunningServer
from tritonclient import http
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException

from archlab_serving.protocol.datatypes import DATATYPES

Ask = Callable[..., Any]
COMPRESSIONS = (None, "gzip", "deflate")
FORMS = [(name, binary) for name in DATATYPE_NAMES for binary in (True, False) if binary or name != "FP16"]
"""The client itself sends FP16 as binary data only."""


def sync_infer(address: str, *args: Any, **options: Any) -> Any:
    client = http.InferenceServerClient(address)
    try:
        return client.infer(*args, **options)
    finally:
        client.close()


def aio_infer(address: str, *args: Any, **options: Any) -> Any:
    async def ask() -> Any:
        async with aio.InferenceServerClient(address) as client:
            return await client.infer(*args, **options)

    return asyncio.run(ask())


@pytest.fixture(params=[sync_infer, aio_infer], ids=["sync", "aio"])
def ask(request: pytest.FixtureRequest, server: RunningServer) -> Ask:
    return lambda *args, **options: request.param(server.address, *args, **options)


def array(datatype: str, shape: tuple[int, ...] = (2, 2)) -> NDArray[Any]:
    return np.resize(np.array(SAMPLES[datatype], dtype=DATATYPES[datatype].numpy), shape)


def tensor(name: str, values: NDArray[Any], datatype: str, *, binary: bool = True) -> Any:
    made = http.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def texts(values: NDArray[Any]) -> list[Any]:
    """Elements of BYTES are bytes where they came as binary data, else texts."""
    return [value.decode() if isinstance(value, bytes) else value for value in values.ravel().tolist()]


def check(datatype: str, result: Any, name: str, expected: NDArray[Any]) -> None:
    found = result.as_numpy(name)
    assert found.shape == expected.shape
    if datatype == "BYTES":
        assert texts(found) == texts(expected)
    else:
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("out", [True, False])
@pytest.mark.parametrize(("datatype", "into"), FORMS)
def test_every_datatype(ask: Ask, datatype: str, out: bool, into: bool) -> None:
    values = array(datatype)
    outputs = [http.InferRequestedOutput("x_out", binary_data=out)]
    result = ask(same(datatype), [tensor("x", values, datatype, binary=into)], outputs=outputs)
    check(datatype, result, "x_out", values)


@pytest.mark.parametrize("answered", COMPRESSIONS)
@pytest.mark.parametrize("asked", COMPRESSIONS)
@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
def test_compression_both_ways(ask: Ask, datatype: str, asked: str | None, answered: str | None) -> None:
    values = array(datatype, (1000, 2))
    for binary in (True, False):
        result = ask(
            same(datatype),
            [tensor("x", values, datatype, binary=binary)],
            outputs=[http.InferRequestedOutput("x_out", binary_data=binary)],
            request_compression_algorithm=asked,
            response_compression_algorithm=answered,
        )
        check(datatype, result, "x_out", values)


@pytest.mark.parametrize("names", [(), ("int8_out",), ("bytes_out", "fp64_out", "bool_out")])
def test_requested_outputs(ask: Ask, names: tuple[str, ...]) -> None:
    inputs = [tensor(name.lower(), array(name, (4,)), name) for name in DATATYPE_NAMES]
    outputs = [http.InferRequestedOutput(name) for name in names] or None
    result = ask(EVERY_TYPE, inputs, outputs=outputs, request_id="a-1")
    answered = [output["name"] for output in result.get_response()["outputs"]]
    assert answered == (list(names) or [f"{name.lower()}_out" for name in DATATYPE_NAMES])
    assert result.get_response()["id"] == "a-1"
    for name in DATATYPE_NAMES:
        if f"{name.lower()}_out" in answered:
            check(name, result, f"{name.lower()}_out", array(name, (4,)))


def test_parameters_and_a_version(ask: Ask) -> None:
    result = ask(
        "delay",
        [tensor("features", np.zeros((1, 5), np.float32), "FP32")],
        model_version="2",
        parameters={"mine": "text"},
        timeout=10_000_000,
    )
    assert result.as_numpy("prediction").tolist() == [[7.0]]
    assert result.get_response()["model_version"] == "2"


def test_errors_reach_the_caller(ask: Ask) -> None:
    with pytest.raises(InferenceServerException, match="tensor 'x' has shape") as caught:
        ask(same("FP32"), [tensor("x", np.zeros((1, 3), np.float32), "FP32")])
    assert caught.value.status() == "400"
    with pytest.raises(InferenceServerException, match="'gate' is not served here"):
        ask("gate", [tensor("x", np.zeros((1, 3), np.float32), "FP32")])
    asked = tensor("x", np.zeros((1, 2), np.float32), "FP32")
    asked.set_shared_memory("region", 8)
    with pytest.raises(InferenceServerException, match="shared memory"):
        ask(same("FP32"), [asked])


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_answers_are_compressed_only_where_it_is_asked_for_and_helps(server: RunningServer, encoding: str) -> None:
    """What the client hides: the encoding that an answer came in."""
    rows = {4: None, 4000: encoding}
    for count, expected in rows.items():
        document = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [count, 2], "data": [7] * count * 2}]}
        path = f"/v2/models/{same('INT64')}/infer"
        answer = server.client.post(path, json=document, headers={"accept-encoding": encoding})
        assert answer.headers.get("content-encoding") == expected
        assert answer.json()["outputs"][0]["data"] == [7] * count * 2
        plain = server.client.post(path, json=document, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == answer.content


def test_health_and_metadata_over_asyncio(server: RunningServer) -> None:
    async def scenario() -> None:
        async with aio.InferenceServerClient(server.address) as client:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready("delay", "2")
            assert not await client.is_model_ready("gate")
            assert (await client.get_server_metadata())["name"] == "archlab-serving"
            assert (await client.get_model_metadata("delay", "2"))["versions"] == ["1", "2"]
            operator = {"x-archlab-scope": "operator"}
            index = await client.get_model_repository_index(headers=operator)
            assert {"name": "delay", "version": "2", "state": "READY", "reason": ""} in index
            with pytest.raises(InferenceServerException, match="needs the role 'operator'"):
                await client.unload_model("delay")

    asyncio.run(scenario())


def test_many_requests_at_once_over_asyncio(server: RunningServer) -> None:
    async def scenario() -> list[float]:
        async with aio.InferenceServerClient(server.address, conn_limit=16) as client:
            asked = [
                client.infer(same("FP64"), [tensor("x", np.full((1, 2), number, np.float64), "FP64")])
                for number in range(100)
            ]
            return [float(result.as_numpy("x_out")[0, 1]) for result in await asyncio.gather(*asked)]

    assert asyncio.run(scenario()) == [float(number) for number in range(100)]
