"""An MLServer runtime for one ONNX file: NumPy codec in and out, as its documentation has it for custom runtimes."""

from __future__ import annotations

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):  # type: ignore[misc]
    """The session behind MLServer's data plane."""

    async def load(self) -> bool:
        """Opens the file that model-settings.json names."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One answer."""
        matrix = NumpyCodec.decode_input(payload.inputs[0])
        (prediction,) = self.session.run(["prediction"], {"features": matrix})
        outputs = [NumpyCodec.encode_output("prediction", prediction)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
