"""What is read from an ONNX file's bytes: references to other files, and the memory that a session will take."""

from __future__ import annotations

import contextlib

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tests.archlab_serving.conftest import linear_model

from archlab_serving.errors import RefusedReleaseError
from archlab_serving.onnx_file import check_self_contained, memory_estimate


def external(location: str = "weights.bin") -> TensorProto:
    """A tensor whose data is in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def made(nodes: list[onnx.NodeProto], tensors: list[TensorProto]) -> bytes:
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 4])
    prediction = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "g", [features], [prediction], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def product() -> onnx.NodeProto:
    return helper.make_node("MatMul", ["features", "w"], ["prediction"])


def constant(tensor: TensorProto) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["w"], value=tensor)


def in_a_branch() -> bytes:
    inner = helper.make_graph([constant(external())], "inner", [], [helper.make_empty_tensor_value_info("w")])
    node = helper.make_node("If", ["flag"], ["w"], then_branch=inner, else_branch=inner)
    return made([node, product()], [numpy_helper.from_array(np.array(True), "flag")])


def sparse() -> bytes:
    model = onnx.load_from_string(made([product()], []))
    entry = model.graph.sparse_initializer.add(dims=[4, 1])
    entry.values.CopyFrom(external())
    return bytes(model.SerializeToString())


def in_a_function() -> bytes:
    model = onnx.load_from_string(made([product()], []))
    model.functions.add(name="f", domain="d").node.add().CopyFrom(constant(external()))
    return bytes(model.SerializeToString())


def after_many_numbers() -> bytes:
    """Behind an attribute of 20,000 numbers, which the walk passes over."""
    node = helper.make_node("Constant", [], ["n"], value_ints=list(range(20_000)))
    floats = helper.make_node("Constant", [], ["f"], value_floats=[0.1] * 20_000)
    return made([node, floats, constant(external()), product()], [])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(made([product()], [external()]), id="initializer"),
        pytest.param(made([product()], [external("../../etc/passwd")]), id="outside"),
        pytest.param(made([constant(external()), product()], []), id="attribute"),
        pytest.param(in_a_branch(), id="subgraph"),
        pytest.param(sparse(), id="sparse"),
        pytest.param(in_a_function(), id="function"),
        pytest.param(after_many_numbers(), id="after many numbers"),
    ],
)
def test_a_tensor_in_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(RefusedReleaseError, match="in other files") as caught:
        check_self_contained(data)
    assert caught.value.reason == "external-data"


def test_the_word_alone_is_no_reference() -> None:
    data = made([product()], [numpy_helper.from_array(np.ones((4, 1), dtype=np.float32), "w")])
    check_self_contained(data)
    check_self_contained(data.replace(b"prediction", b"location:x"))
    check_self_contained(linear_model([1.0]))
    model = onnx.load_from_string(data)
    model.metadata_props.add(key="location", value="JFK")
    model.doc_string = "location"
    check_self_contained(bytes(model.SerializeToString()))


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(noise: bytes) -> None:
    for data in (noise, b"location" + noise, noise + b"location", external().SerializeToString() + noise):
        assert memory_estimate(data) >= len(data) or len(data) == 0
        with contextlib.suppress(RefusedReleaseError):
            check_self_contained(data)


@given(st.data())
def test_a_reference_is_found_wherever_the_file_is_cut_or_changed(data: st.DataObject) -> None:
    """One changed byte never hides a reference that ONNX itself still reads."""
    whole = made([product()], [external()])
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    try:
        model = onnx.load_from_string(changed)
    except DecodeError:
        return
    if any(entry.key == "location" for tensor in model.graph.initializer for entry in tensor.external_data):
        with pytest.raises(RefusedReleaseError):
            check_self_contained(changed)


def test_weights_count_once_and_nodes_eight_times() -> None:
    weights = numpy_helper.from_array(np.ones((250_000, 4), dtype=np.float32), "w")
    assert 4_000_000 < memory_estimate(made([product()], [weights])) < 4_200_000
    assert memory_estimate(made([constant(weights), product()], [])) > 32_000_000


def test_a_large_file_is_searched_to_its_end() -> None:
    weights = numpy_helper.from_array(np.ones((1_000_000, 4), dtype=np.float32), "v")
    with pytest.raises(RefusedReleaseError):
        check_self_contained(made([product()], [weights, external()]))
