"""A BentoML service for one ONNX file: `bentoml serve bentoml_onnx:Delay`; `BENCH_MODEL` names the file."""

# BentoML evaluates the annotations of the API and takes no parameters on NumPy's array type there, hence this form.

import os
from typing import Annotated

import bentoml
import numpy as np
import onnxruntime
from bentoml.validators import DType, Shape

Array = np.ndarray
Matrix = Annotated[Array, DType("float32"), Shape((-1, int(os.environ["BENCH_COLUMNS"])))]


@bentoml.service(workers=1, threads=1, logging={"access": {"enabled": False}})
class Delay:
    """The session behind BentoML's own HTTP API."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options)

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, features: Matrix) -> Array:
        """One answer, on the event loop's own thread: a quarter more requests than from a synchronous method's."""
        prediction: Array = self.session.run(["prediction"], {"features": features})[0]
        return prediction
