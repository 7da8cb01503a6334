"""What a graph would need besides itself is found wherever it hides, and nothing else is."""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tests.archlab_serving.conftest import linear_model
from tests.archlab_serving.test_onnx_file import constant, external, in_a_branch, in_a_function, made, product, sparse

from archlab_serving.errors import RefusedReleaseError
from archlab_serving.onnx_inspection import check, inspect
from onnx_models import trees


def foreign(where: str) -> bytes:
    """An operator of com.example: declared, or used in the graph or in a branch without saying so."""
    model = onnx.load_from_string(in_a_branch() if where == "branch" else linear_model([1.0] * 4))
    node = helper.make_node("Shell", ["features"], ["x"], domain="com.example")
    if where == "declared":
        model.opset_import.add(domain="com.example", version=1)
    elif where == "graph":
        model.graph.node.append(node)
    else:
        model.graph.node[0].attribute[0].g.node.append(node)
    return bytes(model.SerializeToString())


def bomb(kind: str) -> bytes:
    """A tensor of 20 bytes that says it is of a terabyte."""
    tensor = numpy_helper.from_array(np.ones((5, 1), dtype=np.float32), "w")
    if kind == "typed":
        tensor.ClearField("raw_data")
        tensor.float_data.extend([1.0] * 5)
    tensor.dims[0] = 1 << 38
    return made([product()], [tensor]) if kind != "attribute" else made([constant(tensor), product()], [])


def test_a_plain_graph_needs_nothing() -> None:
    for data in (linear_model([1.0, 2.0]), trees(3, 4)):
        found = inspect(data)
        assert found.domains <= {"ai.onnx", "ai.onnx.ml"}
        assert (found.outside, found.oversized) == ([], [])
        assert found.nodes >= 1
        check(data)


@pytest.mark.parametrize("where", ["declared", "graph", "branch"])
def test_operators_from_elsewhere_are_named(where: str) -> None:
    assert "com.example" in inspect(foreign(where)).domains


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(made([product()], [external("../../keys")]), id="initializer"),
        pytest.param(made([constant(external("../../keys")), product()], []), id="attribute"),
    ],
)
def test_a_tensor_elsewhere_is_named_with_its_place(data: bytes) -> None:
    assert inspect(data).outside == [("w", "../../keys")]


@pytest.mark.parametrize("data", [in_a_branch(), sparse(), in_a_function()], ids=["branch", "sparse", "function"])
def test_hidden_tensors_are_found(data: bytes) -> None:
    assert inspect(data).outside


def test_a_tensor_that_only_says_it_is_elsewhere_counts() -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 1], data_location=TensorProto.EXTERNAL)
    assert inspect(made([product()], [tensor])).outside == [("w", "")]


@pytest.mark.parametrize("kind", ["raw", "typed", "attribute"])
def test_a_tensor_without_its_bytes_is_named(kind: str) -> None:
    ((name, elements, size),) = inspect(bomb(kind)).oversized
    assert (name, elements) == ("w", 1 << 38)
    assert size <= 24


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.int8, np.bool_])
def test_whole_tensors_are_not_oversized(dtype: type[np.generic]) -> None:
    tensors = [numpy_helper.from_array(np.ones((64, 3)).astype(dtype), "v"), helper.make_tensor("e", 1, [0], [])]
    tensors += [helper.make_tensor("t", TensorProto.INT64, [3], [0, 1, 2])]
    tensors += [helper.make_tensor("s", TensorProto.STRING, [4], [b"", b"", b"", b"x"])]
    assert inspect(made([product()], tensors)).oversized == []


def test_four_bits_an_element_are_whole() -> None:
    packed = helper.make_tensor("q", TensorProto.INT4, [8], bytes(4), raw=True)
    assert inspect(made([product()], [packed])).oversized == []


def test_the_server_refuses_what_costs_nothing_to_see() -> None:
    for data, reason in ((foreign("declared"), "operators"), (bomb("raw"), "oversized")):
        with pytest.raises(RefusedReleaseError) as caught:
            check(data)
        assert caught.value.reason == reason


@pytest.mark.parametrize("data", [b"", b"\x08", b"an onnx file", b"\x08\x07", b"\x3a\x05abc"])
def test_no_onnx_file_is_none(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        inspect(data)


def test_graphs_in_graphs_end_somewhere() -> None:
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "g", [], [])
    for _ in range(20):
        graph = helper.make_graph([helper.make_node("If", ["a"], ["b"], then_branch=graph)], "g", [], [])
    with pytest.raises(ValueError, match="graphs within graphs"):
        inspect(bytes(helper.make_model(graph).SerializeToString()))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    with contextlib.suppress(ValueError):
        inspect(noise)
    with contextlib.suppress(RefusedReleaseError):
        check(noise)


def test_a_mapped_file_is_read_like_its_bytes(tmp_path: Path) -> None:
    data = trees(20, 5)
    (tmp_path / "m").write_bytes(data)
    with (tmp_path / "m").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert inspect(mapped) == inspect(data)
