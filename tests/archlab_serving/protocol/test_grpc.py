"""Requests and answers as messages: typed and raw, every datatype, and what contradicts the definition."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from open_inference.grpc import protocol as pb

from archlab_serving.errors import BadRequestError
from archlab_serving.protocol.datatypes import BYTES, DATATYPES
from archlab_serving.protocol.grpc import CONTENTS, decode, format_response, model_metadata, parse_request
from archlab_serving.protocol.messages import Answer, InferRequest, Output
from archlab_serving.protocol.tensor_data import to_binary

RAW = InferRequest("", {}, {}, (), binary_output=True)
TYPED = RAW._replace(binary_output=False)
few = settings(max_examples=30, deadline=None)


def tensor(datatype: str, shape: list[int], values: list[Any] | None = None, name: str = "x") -> Any:
    made = pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    if values is not None:
        getattr(made.contents, CONTENTS[datatype]).extend(values)
    return made


def request(*inputs: Any, **fields: Any) -> pb.ModelInferRequest:
    return pb.ModelInferRequest(model_name="m", inputs=inputs, **fields)


def answer(output: Output, **parameters: Any) -> Answer:
    return Answer("m", "3", "r1", [output], parameters)


def sent(message: Any) -> Any:
    """As it arrives."""
    return type(message).FromString(message.SerializeToString())


@st.composite
def arrays(draw: st.DrawFn, datatype: str) -> NDArray[Any]:
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    count = int(np.prod(shape))
    if datatype == BYTES:
        flat = np.empty(count, dtype=object)
        flat[:] = draw(st.lists(st.text(max_size=8), min_size=count, max_size=count))
        return flat.reshape(shape)
    dtype = DATATYPES[datatype].numpy
    if datatype == "BOOL":
        return np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype).reshape(shape)
    raw = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    return np.frombuffer(raw, dtype).reshape(shape)


def same(found: Any, expected: NDArray[Any], datatype: str) -> bool:
    if datatype == BYTES:
        return list(found) == expected.ravel().tolist()
    equal_nan = expected.dtype.kind == "f"
    return np.asarray(found).dtype == expected.dtype and np.array_equal(found, expected.ravel(), equal_nan=equal_nan)


@pytest.mark.parametrize("datatype", DATATYPES)
@few
@given(data=st.data())
def test_raw_tensors_arrive_as_they_were(datatype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(datatype))
    raw = [to_binary(Output("x", datatype, array))]
    parsed = parse_request(sent(request(tensor(datatype, list(array.shape)), raw_input_contents=raw)))
    assert parsed.binary_output
    assert parsed.inputs["x"].shape == list(array.shape)
    assert same(parsed.inputs["x"].data, array, datatype)


@pytest.mark.parametrize("datatype", CONTENTS)
@few
@given(data=st.data())
def test_typed_tensors_arrive_as_they_were(datatype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(datatype))
    values = [text.encode() for text in array.ravel()] if datatype == BYTES else array.ravel().tolist()
    parsed = parse_request(sent(request(tensor(datatype, list(array.shape), values))))
    assert not parsed.binary_output
    assert same(parsed.inputs["x"].data, array, datatype)


@pytest.mark.parametrize("form", [RAW, TYPED])
@pytest.mark.parametrize("datatype", DATATYPES)
@few
@given(data=st.data())
def test_answers_can_be_sent_back(form: InferRequest, datatype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(datatype))
    response = sent(format_response(answer(Output("x", datatype, array)), form))
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("x", datatype, list(array.shape))
    raw = form is RAW or datatype == "FP16"
    assert len(response.raw_output_contents) == raw
    assert not (raw and output.HasField("contents"))
    again = pb.ModelInferRequest.InferInputTensor.FromString(output.SerializeToString())  # the fields are the same
    parsed = parse_request(request(again, raw_input_contents=response.raw_output_contents))
    assert same(parsed.inputs["x"].data, array, datatype)


def test_what_a_request_says_beside_its_tensors() -> None:
    parameters = {
        "number": pb.InferParameter(int64_param=-5),
        "large": pb.InferParameter(uint64_param=2**64 - 1),
        "text": pb.InferParameter(string_param="x"),
        "flag": pb.InferParameter(bool_param=False),
        "share": pb.InferParameter(double_param=0.5),
    }
    outputs = [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in ("b", "a")]
    parsed = parse_request(request(tensor("BOOL", [], [True]), id="r1", parameters=parameters, outputs=outputs))
    assert parsed.id == "r1"
    assert parsed.parameters == {"number": -5, "large": 2**64 - 1, "text": "x", "flag": False, "share": 0.5}
    assert [output.name for output in parsed.outputs] == ["b", "a"]


def test_what_an_answer_says_beside_its_tensors() -> None:
    made = answer(Output("x", "FP32", np.zeros(1, np.float32)), text="a", flag=True, number=-1, large=2**63, share=0.25)
    response = sent(format_response(made, TYPED))
    assert (response.model_name, response.model_version, response.id) == ("m", "3", "r1")
    found = {key: value.WhichOneof("parameter_choice") for key, value in response.parameters.items()}
    assert found == {
        "text": "string_param",
        "flag": "bool_param",
        "number": "int64_param",
        "large": "uint64_param",
        "share": "double_param",
    }
    assert response.parameters["large"].uint64_param == 2**63
    assert response.parameters["number"].int64_param == -1


def test_one_output_without_a_typed_form_makes_all_raw() -> None:
    outputs = [Output("h", "FP16", np.ones(2, np.float16)), Output("i", "INT8", np.array([-1], np.int8))]
    response = format_response(Answer("m", "1", "", outputs, {}), TYPED)
    assert list(response.raw_output_contents) == [b"\x00\x3c\x00\x3c", b"\xff"]
    assert not any(output.HasField("contents") for output in response.outputs)


SHARED = {"shared_memory_region": pb.InferParameter(string_param="r")}
RAW_F = tensor("FP32", [1])


def wrongly(kind: str, values: list[Any]) -> Any:
    made = tensor("FP32", [1], [1.0])
    getattr(made.contents, kind).extend(values)
    return made


def asking(**parameters: Any) -> list[Any]:
    return [pb.ModelInferRequest.InferRequestedOutputTensor(name="y", parameters=parameters)]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (request(), "'inputs' must hold at least one tensor"),
        (request(tensor("FP32", [1], [1.0], name="")), "every tensor needs a 'name'"),
        (request(tensor("FP32", [1], [1.0]), tensor("FP32", [1], [1.0])), "tensor 'x' is given twice"),
        (request(pb.ModelInferRequest.InferInputTensor(name="x", datatype="BF16")), "tensor 'x' has datatype 'BF16'"),
        (request(tensor("FP32", [2], [1.0])), "has 1 values in 'fp32_contents', its shape needs 2"),
        (request(tensor("FP32", [-1], [1.0])), r"tensor 'x' has shape \[-1\]"),
        (request(tensor("FP32", [0, 1 << 40])), "an empty tensor may not span so much"),
        (request(wrongly("fp64_contents", [1.0])), "has values in 'fp64_contents' beside 'fp32_contents'"),
        (request(pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP16", shape=[1])), "has no typed form"),
        (request(tensor("INT8", [1], [128])), "tensor 'x' of datatype INT8: "),
        (request(tensor("INT16", [1], [-40_000])), "tensor 'x' of datatype INT16: "),
        (request(tensor("UINT8", [2], [1, 256])), "tensor 'x' of datatype UINT8: "),
        (request(tensor("BYTES", [1], [b"\xff"])), "holds an element that is not UTF-8"),
        (request(tensor("FP32", [1], [1.0]), raw_input_contents=[b"1234"]), "has 'contents'; with"),
        (request(RAW_F, raw_input_contents=[b"1234", b""]), "has 2 entries; one for each of the 1 tensors"),
        (request(RAW_F, raw_input_contents=[b"123"]), "tensor 'x' has 3 bytes, its shape needs 4"),
        (request(tensor("BOOL", [1]), raw_input_contents=[b"\x02"]), "holds bytes other than 0 and 1"),
        (request(tensor("BYTES", [1]), raw_input_contents=[b"\x09\0\0\0a"]), "ends within element 0"),
        (
            request(pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1], parameters=SHARED)),
            "is in shared memory",
        ),
        (request(tensor("FP32", [1], [1.0]), outputs=asking(**SHARED)), "output 'y': the shared memory extension"),
        (
            request(tensor("FP32", [1], [1.0]), outputs=asking(classification=pb.InferParameter(int64_param=1))),
            "output 'y': the classification extension",
        ),
        (request(tensor("FP32", [1], [1.0]), parameters={"a": pb.InferParameter()}), "parameter 'a' has no value"),
    ],
)
def test_what_contradicts_the_protocol_is_named(message: pb.ModelInferRequest, error: str) -> None:
    with pytest.raises(BadRequestError, match=error):
        parse_request(sent(message))


VALID = request(tensor("FP32", [2], [1.0, 2.0]), tensor("BYTES", [1], [b"JFK"], name="y"), id="r1").SerializeToString()


@settings(deadline=None)
@given(place=st.integers(0, len(VALID)), cut=st.integers(0, 3), put=st.binary(max_size=3))
def test_damaged_messages_are_read_or_refused(place: int, cut: int, put: bytes) -> None:
    with contextlib.suppress(BadRequestError):  # nothing else comes out
        parse_request(decode(pb.ModelInferRequest, VALID[:place] + put + VALID[place + cut :]))


def test_what_is_no_message_is_named() -> None:
    with pytest.raises(BadRequestError, match=r"the message is no inference\.ModelInferRequest"):
        decode(pb.ModelInferRequest, b"\xff\xff")


def test_metadata_have_the_models_properties_as_texts() -> None:
    tensors = [{"name": "features", "datatype": "FP32", "shape": [-1, 5]}]
    about = {
        "name": "m",
        "versions": ["1", "2"],
        "platform": "onnxruntime_onnx",
        "inputs": tensors,
        "outputs": [],
        "parameters": {"team": "operations", "keys": ["origin"]},
    }
    found = sent(model_metadata(about))
    assert (found.name, list(found.versions), found.platform) == ("m", ["1", "2"], "onnxruntime_onnx")
    assert [(t.name, t.datatype, list(t.shape)) for t in found.inputs] == [("features", "FP32", [-1, 5])]
    assert found.properties == {"team": "operations", "keys": '["origin"]'}
