"""What a user would write in ten lines, with a framework and without: the yardsticks of the serving benchmarks.

Both answer `POST …/infer` with one FP32 tensor and check nothing. `BARE_MODEL` names the ONNX file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def model() -> Predict:
    """The session, asked for a matrix."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(Path(os.environ["BARE_MODEL"]).read_bytes(), options)

    def predict(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        prediction: NDArray[np.float32] = session.run(["prediction"], {"features": matrix})[0]
        return prediction

    return predict


def _answer(predict: Predict, document: dict[str, Any]) -> dict[str, Any]:
    tensor = document["inputs"][0]
    prediction = predict(np.array(tensor["data"], dtype=np.float32).reshape(tensor["shape"]))
    output = {"name": "prediction", "datatype": "FP32", "shape": list(prediction.shape)}
    return {"model_name": "delay", "outputs": [{**output, "data": prediction.ravel().tolist()}]}


def starlette_app() -> Starlette:
    """On Starlette."""
    predict = model()

    async def infer(request: Request) -> JSONResponse:
        return JSONResponse(_answer(predict, await request.json()))

    async def ready(_: Request) -> JSONResponse:
        return JSONResponse({"ready": True})

    return Starlette(
        routes=[Route("/v2/models/delay/infer", infer, methods=["POST"]), Route("/v2/health/ready", ready)]
    )


def raw_app() -> Callable[[Scope, Receive, Send], Any]:
    """On ASGI alone, with orjson."""
    predict = model()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body, more = b"", scope["method"] == "POST"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        content = orjson.dumps(_answer(predict, orjson.loads(body)) if body else {"ready": True})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app
