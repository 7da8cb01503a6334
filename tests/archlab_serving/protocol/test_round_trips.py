"""What is written is read again, for every datatype, in JSON and in binary; and whatever comes is read or refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from archlab_serving.errors import BadRequestError
from archlab_serving.protocol.datatypes import BYTES, DATATYPES
from archlab_serving.protocol.messages import Answer, InferRequest, Output, RequestedOutput
from archlab_serving.protocol.rest import format_response, parse_request

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)


def arrays(datatype: str) -> st.SearchStrategy[NDArray[Any]]:
    """Any tensor of the datatype, NaN and infinities included."""
    if datatype == BYTES:
        return SHAPES.flatmap(lambda shape: hnp.arrays(object, shape, elements=TEXTS, fill=st.nothing()))
    return hnp.arrays(DATATYPES[datatype].numpy, SHAPES)


def as_input(content: bytes, length: int | None) -> tuple[bytes, bytes | None]:
    """A response turned into the request that sends its outputs back."""
    end = len(content) if length is None else length
    document = orjson.loads(content[:end])
    head = orjson.dumps({"id": document.get("id"), "inputs": document["outputs"]})
    return head + content[end:], None if length is None else b"%d" % len(head)


def read_back(outputs: list[Output], asked: InferRequest) -> dict[str, NDArray[Any]]:
    content, length = format_response(Answer("m", "1", "i", outputs, {}), asked)
    parsed = parse_request(*as_input(content, length))
    assert parsed.id == "i"
    return {
        name: np.array(tensor.data, dtype=DATATYPES[tensor.datatype].numpy).reshape(tensor.shape)
        for name, tensor in parsed.inputs.items()
    }


def asking(*, binary: bool, outputs: tuple[RequestedOutput, ...] = ()) -> InferRequest:
    return InferRequest("", {}, {}, outputs, binary)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("datatype", DATATYPES)
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_what_is_answered_can_be_asked(datatype: str, binary: bool, data: st.DataObject) -> None:
    array = data.draw(arrays(datatype))
    back = read_back([Output("x", datatype, array)], asking(binary=binary))["x"]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    if datatype == BYTES:
        assert back.tolist() == array.tolist()
    elif binary:
        assert back.tobytes() == array.tobytes()
    else:
        np.testing.assert_array_equal(back, array)


@given(data=st.data())
@settings(deadline=None)
def test_outputs_in_json_and_in_binary_mix(data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.tuples(st.sampled_from(sorted(DATATYPES)), st.booleans()), min_size=1, max_size=5))
    outputs = [Output(f"x{n}", datatype, data.draw(arrays(datatype))) for n, (datatype, _) in enumerate(chosen)]
    asked = tuple(RequestedOutput(f"x{n}", binary) for n, (_, binary) in enumerate(chosen))
    back = read_back(outputs, asking(binary=False, outputs=asked))
    for output in outputs:
        np.testing.assert_array_equal(back[output.name], output.array)


@pytest.mark.parametrize("datatype", [name for name, kind in DATATYPES.items() if kind.limits is not None])
@given(number=st.integers(-(2**64), 2**65) | st.floats(allow_nan=False))
@settings(deadline=None)
def test_a_number_is_kept_or_refused(datatype: str, number: float) -> None:
    """No number is wrapped, cut to an integer, or made infinite."""
    kind = DATATYPES[datatype]
    shown = str(number) if isinstance(number, int) else orjson.dumps(number).decode()
    entry = f'{{"name": "x", "datatype": "{datatype}", "shape": [2], "data": [0, {shown}]}}'
    if shown == "null":  # what orjson makes of infinities
        return
    try:
        (tensor,) = parse_request(f'{{"inputs": [{entry}]}}'.encode()).inputs.values()
    except BadRequestError:
        assert kind.limits is not None
        fits = kind.limits[0] <= number <= kind.limits[1]
        assert not fits or (isinstance(number, float) and kind.numpy.kind != "f")
        return
    kept = np.array(tensor.data, dtype=kind.numpy)[1].item()
    if kind.numpy.kind == "f":
        assert math.isfinite(kept)
        assert kept == pytest.approx(
            float(number), rel=float(np.finfo(kind.numpy).eps), abs=float(np.finfo(kind.numpy).tiny)
        )
    else:
        assert kept == number


HEADERS = st.none() | st.binary(max_size=6) | st.integers(-1, 200).map(lambda n: b"%d" % n)


@given(body=st.binary(max_size=200), header=HEADERS)
@settings(deadline=None, max_examples=400)
def test_any_bytes_are_refused_or_raw(body: bytes, header: bytes | None) -> None:
    try:
        parsed = parse_request(body, header)
    except BadRequestError:
        return
    assert parsed.raw == body or orjson.loads(body[: int(header) if header else len(body)])["inputs"]


@pytest.mark.parametrize("datatype", DATATYPES)
@given(
    raw=st.binary(max_size=40),
    shape=st.lists(st.integers(-1, 5), max_size=4),
    size=st.integers(-2, 45) | st.none(),
    shift=st.integers(-3, 3),
)
@settings(deadline=None)
def test_any_framing_is_read_or_refused(
    datatype: str, raw: bytes, shape: list[int], size: int | None, shift: int
) -> None:
    """Sizes, shapes, header lengths and bytes that contradict each other in every way."""
    said = len(raw) if size is None else size
    entry = {"name": "x", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": said}}
    head = orjson.dumps({"inputs": [entry]})
    try:
        parsed = parse_request(head + raw, b"%d" % (len(head) + shift))
    except BadRequestError:
        return
    assert len(parsed.inputs["x"].data) == math.prod(shape)
    assert said == len(raw)


@given(body=st.binary(max_size=60), where=st.integers(0, 300), header=st.integers(-40, 40))
@settings(deadline=None, max_examples=300)
def test_a_request_with_a_few_bytes_changed_is_read_or_refused(body: bytes, where: int, header: int) -> None:
    output = Output("x", "BYTES", np.array([["a", "é"], ["", "b"]], dtype=object))
    content, length = format_response(Answer("m", "1", "", [output], {}), asking(binary=True))
    good, said = as_input(content, length)
    assert said is not None
    changed = good[:where] + body + good[where + len(body) :]
    try:
        parse_request(changed, b"%d" % (int(said) + header))
    except BadRequestError:
        return
