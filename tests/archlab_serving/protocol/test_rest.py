from __future__ import annotations

import struct
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab_serving.errors import BadRequestError
from archlab_serving.protocol.messages import Answer, InferRequest, Output
from archlab_serving.protocol.rest import format_response, parse_request


def parse(*inputs: Any, **fields: Any) -> Any:
    return parse_request(orjson.dumps({"inputs": list(inputs), **fields}))


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "distance", "datatype": "FP32", "shape": [2], "data": [1.0, 2.0], **changes}


def test_a_json_tensor() -> None:
    request = parse(tensor(), id="abc")
    assert request.id == "abc"
    assert request.inputs["distance"].data == [1.0, 2.0]
    assert not request.binary_output


def test_nested_data_is_flattened() -> None:
    assert parse(tensor(shape=[2, 2], data=[[1, 2], [3, 4]])).inputs["distance"].data == [1, 2, 3, 4]


def test_null_is_taken_in_a_floating_point_tensor() -> None:
    assert parse(tensor(data=[None, 2.0])).inputs["distance"].data == [None, 2.0]


def test_texts() -> None:
    assert parse(tensor(datatype="BYTES", data=["JFK", "LGA"])).inputs["distance"].texts == ["JFK", "LGA"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datatype": "BF16"}, "tensor 'distance' has datatype 'BF16'"),
        ({"datatype": ["FP32"]}, "tensor 'distance' has datatype"),
        ({"shape": [3]}, "tensor 'distance' has 2 values, its shape needs 3"),
        ({"shape": [-2]}, "tensor 'distance' has shape"),
        ({"shape": [True, 2]}, "tensor 'distance' has shape"),
        ({"shape": []}, "tensor 'distance' has 2 values, its shape needs 1"),
        ({"shape": [1] * 65}, "has 65 dimensions; at most 64 are taken"),
        ({"shape": [0, 1 << 40], "data": []}, "an empty tensor may not span so much"),
        ({"data": [1.0, "2.0"]}, "holds values of type str"),
        ({"data": [1.0, True]}, "holds values of type bool"),
        ({"data": [[1.0], 2.0]}, "nested deeper than its shape"),
        ({"shape": [2, 1], "data": [[1.0], 2.0]}, "mixes values and lists"),
        ({"shape": [2, 2], "data": [[1.0, 2.0], [3.0]]}, "lists of different lengths"),
        ({"shape": [2, 2], "data": [[1.0, 2.0, 3.0, 4.0]]}, r"nested as \[1, 4\], its shape is \[2, 2\]"),
        ({"data": None}, "has no 'data'"),
        ({"datatype": "INT64", "data": [1, 2.5]}, "holds values of type float"),
        ({"datatype": "INT64", "data": [1, None]}, "holds values of type null"),
        ({"datatype": "BYTES", "data": [1, "a"]}, "holds values of type int"),
        ({"parameters": {"shared_memory_region": "r"}}, "shared memory"),
        ({"parameters": {"binary_data_size": 8}}, "has 'data' and binary_data_size"),
        ({"data": None, "parameters": {"binary_data_size": 8}}, "is Inference-Header-Content-Length set"),
        ({"parameters": [1]}, "'parameters' must be an object"),
        ({"name": 5}, "needs a 'name'"),
    ],
)
def test_a_bad_tensor_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        parse(tensor(**change))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b'{"inputs": [NaN]}', "needs a 'name'"),
        (b'{"inputs": [NaN', "not JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"inputs": []}', "at least one tensor"),
        (b'{"inputs": {}}', "at least one tensor"),
    ],
)
def test_a_bad_body_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        parse_request(content)


def test_a_tensor_given_twice_is_refused() -> None:
    with pytest.raises(BadRequestError, match="'distance' is given twice"):
        parse(tensor(), tensor())


@pytest.mark.parametrize("outputs", [[{}], "prediction", [{"name": 5}]])
def test_bad_outputs_are_refused(outputs: Any) -> None:
    with pytest.raises(BadRequestError, match="'outputs' must be a list"):
        parse(tensor(), outputs=outputs)


def binary(size: int, **changes: Any) -> dict[str, Any]:
    without = {key: value for key, value in tensor(**changes).items() if key != "data"}
    return {**without, "parameters": {"binary_data_size": size}}


def test_binary_and_json_tensors_mix() -> None:
    numbers = np.array([1.5, np.inf], dtype="<f4").tobytes()
    texts = b"".join(struct.pack("<I", len(text)) + text for text in (b"JFK", "Zürich".encode()))
    tensors = [binary(8), tensor(name="hour"), binary(len(texts), name="origin", datatype="BYTES")]
    header = orjson.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}})
    request = parse_request(header + numbers + texts, str(len(header)).encode())
    assert list(request.inputs["distance"].data) == [1.5, np.inf]
    assert request.inputs["hour"].data == [1.0, 2.0]
    assert request.inputs["origin"].texts == ["JFK", "Zürich"]
    assert request.binary_output


@pytest.mark.parametrize(
    ("entry", "raw", "message"),
    [
        (binary(8), b"1234", "binary_data_size 8, 4 bytes are left"),
        (binary(4), b"1234", "has 4 bytes, its shape needs 8"),
        (binary(8), b"12345678more", "4 bytes after the last tensor"),
        (binary(4, datatype="BYTES"), b"\x09\x00\x00\x00", "ends within element 0"),
        (binary(2, datatype="BYTES"), b"\x09\x00", "ends within the length of element 0"),
        (binary(6, datatype="BYTES"), b"\x02\x00\x00\x00\xff\xff", "element 0 is not UTF-8"),
        (binary(4, datatype="BYTES"), b"\x00\x00\x00\x00", "has 1 elements"),
    ],
)
def test_bad_binary_data_is_named(entry: dict[str, Any], raw: bytes, message: str) -> None:
    header = orjson.dumps({"inputs": [entry]})
    with pytest.raises(BadRequestError, match=message):
        parse_request(header + raw, str(len(header)).encode())


@pytest.mark.parametrize("length", [b"9999", b"-1", b"ten"])
def test_a_bad_header_length_is_refused(length: bytes) -> None:
    with pytest.raises(BadRequestError, match="Inference-Header-Content-Length"):
        parse_request(b'{"inputs": []}', length)


def request(*, binary_output: bool) -> InferRequest:
    return InferRequest("", {}, {}, (), binary_output)


def prediction(*values: float) -> Output:
    return Output("prediction", "FP32", np.array([[value] for value in values], dtype=np.float32))


def test_json_response_writes_nan_as_null() -> None:
    answer = Answer("delay", "2", "abc", [prediction(0.1, np.nan)], {"snapshot": 3})
    content, length = format_response(answer, request(binary_output=False))
    assert length is None
    assert orjson.loads(content) == {
        "model_name": "delay",
        "model_version": "2",
        "id": "abc",
        "parameters": {"snapshot": 3},
        "outputs": [{"name": "prediction", "datatype": "FP32", "shape": [2, 1], "data": [0.1, None]}],
    }


def test_binary_response() -> None:
    answer = Answer("delay", "2", "", [prediction(0.5, np.nan)], {})
    content, length = format_response(answer, request(binary_output=True))
    assert length is not None
    (output,) = orjson.loads(content[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": 8}
    np.testing.assert_array_equal(np.frombuffer(content[length:], "<f4"), answer.outputs[0].array.ravel())


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5)
names = st.sampled_from(
    ["name", "datatype", "shape", "data", "parameters", "binary_data_size", "inputs", "outputs", "id"]
)
values = st.recursive(
    scalars | st.sampled_from(["FP32", "BYTES", "INT64"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(names, values), st.binary(max_size=40), st.none() | st.integers(-1, 60))
def test_whatever_comes_is_parsed_or_refused(document: dict[str, Any], raw: bytes, length: int | None) -> None:
    header = None if length is None else str(length).encode()
    try:
        parse_request(orjson.dumps(document) + raw, header)
    except BadRequestError:
        return


@given(
    st.lists(st.fixed_dictionaries({"name": st.text(max_size=3), "datatype": values, "shape": values, "data": values}))
)
def test_whatever_tensor_comes_is_parsed_or_refused(inputs: list[Any]) -> None:
    try:
        request = parse(*inputs)
    except BadRequestError:
        return
    for parsed in request.inputs.values():
        assert len(parsed.data) == np.prod(parsed.shape)
