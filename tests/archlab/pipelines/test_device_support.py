"""Graphs of scikit-learn models as the converter writes them, and some made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from archlab.pipelines import export
from archlab.pipelines.cuda_operators import has_kernel
from archlab.pipelines.device_support import node_support
from archlab.pipelines.export import Output
from archlab.spec.devices import NodeSupport

COLUMNS = 20


def support(estimator: Any, output: Output) -> NodeSupport:
    features = np.random.default_rng(3).normal(size=(200, COLUMNS)).astype(np.float32)
    estimator.fit(features, features.sum(axis=1) > 0)
    return node_support(onnx.load_from_string(export.to_onnx(estimator, COLUMNS, output)))


@pytest.mark.filterwarnings("ignore")
def test_a_neural_network_gains() -> None:
    network = MLPRegressor(hidden_layer_sizes=(32, 16), max_iter=2, random_state=0)
    found = support(make_pipeline(SimpleImputer(), StandardScaler(), network), "estimate")
    products = 2 * (COLUMNS * 32 + 32 * 16 + 16)
    assert products < found.supported_flops < products + 200
    assert found.unsupported == ("Imputer", "Scaler")
    assert found.gains
    assert "have a CUDA kernel, with 98% of" in found.gain().because


def test_trees_do_not_however_many_nodes_around_them_are_supported() -> None:
    found = support(HistGradientBoostingRegressor(max_iter=200, max_leaf_nodes=31), "estimate")
    assert (found.nodes, found.supported_nodes, found.unsupported) == (3, 2, ("TreeEnsembleRegressor",))
    assert (found.supported_flops, found.gains) == (0, False)
    assert found.flops >= 200
    forest = support(make_pipeline(SimpleImputer(), RandomForestRegressor(10, max_depth=4)), "estimate")
    assert 10 * 2 <= forest.flops - COLUMNS <= 10 * 5


def test_a_linear_classifier_does_not() -> None:
    found = support(make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()), "probability")
    assert found.supported_flops == 0
    assert not found.gains


def test_nearly_all_nodes_supported_and_nothing_to_do() -> None:
    found = support(make_pipeline(SimpleImputer(), KMeans(3, n_init=1)), "cluster")
    assert found.supported_nodes / found.nodes > 0.8
    assert found.supported_flops / found.flops > 0.8
    assert not found.gains
    assert "below 1,000 a row a device is not worth the way" in found.gain().because


def graph(nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: dict[str, tuple[int, ...]]) -> Any:
    initializers = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()]
    made = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("own", 1)])


def tensor(name: str, *shape: int | None) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def test_products_and_convolutions_are_counted_by_their_shapes() -> None:
    product = graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"])], [tensor("x", None, 8)], [tensor("y", None, 5)], {"w": (8, 5)}
    )
    assert node_support(product).flops == 2 * 8 * 5
    fixed = graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], [tensor("x", 4, 8)], [tensor("y", 4, 5)], {"w": (8, 5)}
    )
    assert node_support(fixed).flops == 4 * 2 * 8 * 5
    image = graph(
        [helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 1, 1, 1])],
        [tensor("x", None, 3, 16, 16)],
        [tensor("y", None, 8, 16, 16)],
        {"k": (8, 3, 3, 3)},
    )
    assert node_support(image).flops == 2 * 8 * 16 * 16 * 3 * 3 * 3
    assert node_support(image).gains


def test_an_operator_of_another_domain_has_no_kernel() -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], domain="own")
    found = node_support(graph([node], [tensor("x", None, 800)], [tensor("y", None, 5)], {"w": (800, 5)}))
    assert (found.nodes, found.supported_nodes, found.flops, found.gains) == (1, 0, 8000, False)
    assert not has_kernel("ai.onnx.ml", "TreeEnsembleRegressor")
    assert has_kernel("ai.onnx", "Relu")


def test_an_empty_graph_gains_nothing() -> None:
    found = node_support(graph([], [tensor("x", None, 3)], [tensor("x", None, 3)], {}))
    assert (found.nodes, found.flops, found.gains) == (0, 0, False)
    assert NodeSupport.model_validate_json(found.model_dump_json()) == found
