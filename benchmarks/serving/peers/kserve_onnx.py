"""A KServe model server for one ONNX file: `python kserve_onnx.py --model_path FILE --http_port N …`.

KServe binds HTTP to every interface and has no setting for it; the subclass below keeps it on the loopback one.
"""

from __future__ import annotations

import argparse
from typing import Any

import kserve.model_server
import onnxruntime
from kserve import InferRequest, InferResponse, Model, ModelServer
from kserve.protocol.rest.server import RESTServer
from kserve.utils.utils import get_predict_response


class OnnxModel(Model):  # type: ignore[misc]
    """The session behind KServe's data plane."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        self.path = path

    def load(self) -> bool:
        """Opens the file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.path, options)
        self.ready = True
        return True

    async def predict(self, payload: InferRequest, headers: Any = None, response_headers: Any = None) -> InferResponse:
        """One answer, binary where the request asks for it."""
        (prediction,) = self.session.run(["prediction"], {"features": payload.inputs[0].as_numpy()})
        return get_predict_response(payload, prediction, self.name)


class LoopbackServer(RESTServer):  # type: ignore[misc]
    """KServe's own server, bound to one interface."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config.host = "127.0.0.1"


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("--model_path", required=True)
    options, _ = parser.parse_known_args()
    kserve.model_server.RESTServer = LoopbackServer
    model = OnnxModel(options.model_name, options.model_path)
    model.load()
    ModelServer().start([model])


if __name__ == "__main__":
    main()
