"""From a fitted scikit-learn pipeline to one ONNX graph with one input and one output, and the proof that they agree.

skl2onnx is silently wrong for some estimators (gradient boosting with Poisson loss or categories, forests on NaN), so
every model is compared with its source before it may be used.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archlab.errors import ArchlabError

MAX_ABS_DIFF = 1e-3
OPSET = {"": 18, "ai.onnx.ml": 3}
Output = Literal["probability", "estimate", "cluster"]


class ParityError(ArchlabError):
    """The exported graph answers differently from the model that it was made from."""


def to_onnx(estimator: Any, columns: int, output: Output) -> bytes:
    """The graph: `features` float32 [N, columns] in, `prediction` float32 [N, 1] out."""
    from skl2onnx import to_onnx as convert
    from skl2onnx.common.data_types import FloatTensorType

    options = {id(estimator): {"zipmap": False}} if output == "probability" else None
    proto = convert(
        estimator,
        initial_types=[("features", FloatTensorType([None, columns]))],
        options=options,
        target_opset=OPSET,
    )
    _reduce_to_prediction(proto.graph, output)
    return _checked(proto)


def predict(model: bytes, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Answers [N] of a graph in ONNX Runtime, one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    answer: NDArray[np.float32] = session.run(["prediction"], {"features": features})[0]
    return answer[:, 0]


def reference(estimator: Any, features: NDArray[np.float32], output: Output) -> NDArray[np.float64]:
    """Answers [N] of the scikit-learn pipeline itself."""
    raw = estimator.predict_proba(features)[:, 1] if output == "probability" else estimator.predict(features)
    return np.asarray(raw, dtype=np.float64).reshape(-1)


def parity(exported: NDArray[np.float32], source: NDArray[np.float64], name: str) -> float:
    """The largest difference, relative to the answer where that is larger than 1.

    Raises:
        ParityError: it is above MAX_ABS_DIFF.
    """
    largest = float((np.abs(exported - source) / np.maximum(1.0, np.abs(source))).max())
    if not largest <= MAX_ABS_DIFF:
        raise ParityError(
            f"The ONNX graph of {name} differs from scikit-learn by up to {largest:.2g}, {MAX_ABS_DIFF} is allowed.",
            "Choose an estimator that skl2onnx converts faithfully, and impute missing values inside the pipeline.",
        )
    return largest


def _reduce_to_prediction(graph: Any, output: Output) -> None:
    """Turn the converter's outputs into the one that servers read."""
    from onnx import TensorProto, helper, numpy_helper

    names = [value.name for value in graph.output]
    shape = numpy_helper.from_array(np.array([-1, 1], dtype=np.int64), "prediction_shape")
    graph.initializer.append(shape)
    nodes = []
    if output == "probability":
        graph.initializer.append(numpy_helper.from_array(np.array([1], dtype=np.int64), "class_of_interest"))
        nodes.append(helper.make_node("Gather", [names[1], "class_of_interest"], ["chosen"], axis=1))
    else:
        nodes.append(helper.make_node("Cast", [names[0]], ["chosen"], to=TensorProto.FLOAT))
    nodes.append(helper.make_node("Reshape", ["chosen", "prediction_shape"], ["prediction"]))
    graph.node.extend(nodes)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1]))


def _checked(proto: Any) -> bytes:
    import onnx

    onnx.checker.check_model(proto)
    serialized: bytes = proto.SerializeToString()
    return serialized
