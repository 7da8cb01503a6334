"""The ASGI application: `uvicorn archlab_serving.app:app --uds SOCKET`, configured by `ARCHLAB_SERVING_*`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from . import __version__
from .errors import ServingError, UnavailableError
from .model_file import Tensors
from .repository import ServedModel
from .rest import error_response
from .runtime import TensorSpec
from .server import Server
from .settings import Settings

_MODELS = "/v2/models/"
_INFER = "/infer"


class App:
    """Sends inference straight to its endpoint and everything else through Starlette.

    Args:
        settings: None reads the environment at start-up, so that importing the module needs none.
        runtime: what packages the server; a label of `archlab_server_info`.
    """

    def __init__(self, settings: Settings | None = None, runtime: str = "uvicorn") -> None:
        self._settings = settings
        self._runtime = runtime
        self._server: Server | None = None
        self._starlette = Starlette(
            routes=[
                Route("/v2", self._about_server),
                Route("/v2/health/live", self._live),
                Route("/v2/health/ready", self._ready),
                Route("/v2/models/{model}", self._about_model),
                Route("/v2/models/{model}/ready", self._model_ready),
                Route("/v2/models/{model}/versions/{version}", self._about_model),
                Route("/v2/models/{model}/versions/{version}/ready", self._model_ready),
                Route("/metrics", self._metrics),
            ],
            lifespan=self.lifespan,
            exception_handlers={ServingError: _serving_error, HTTPException: _http_error, Exception: _our_error},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one ASGI scope."""
        if scope["type"] == "http" and scope["method"] == "POST" and self._server is not None:
            path: str = scope["path"]
            if path.startswith(_MODELS) and path.endswith(_INFER):
                model, _, version = path[len(_MODELS) : -len(_INFER)].partition("/versions/")
                await self._server.endpoint.serve(scope, receive, send, model, version)
                return
        await self._starlette(scope, receive, send)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Starts the server; on the way out its requests are done already."""
        _log_to_stderr()
        server = Server(self._settings or Settings.from_environment(), self._runtime)
        server.start()
        self._server = server
        try:
            yield
        finally:
            self._server = None
            await server.stop()

    @property
    def server(self) -> Server:
        """The running server.

        Raises:
            UnavailableError: the application has not been started.
        """
        if self._server is None:
            raise UnavailableError("the server is starting or stopping")
        return self._server

    async def _about_server(self, _: Request) -> Response:
        return _json({"name": "archlab-serving", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def _live(self, _: Request) -> Response:
        return _json({"live": True})

    async def _ready(self, _: Request) -> Response:
        ready = self.server.watcher.ready
        return _json({"ready": ready}, 200 if ready else 503)

    async def _about_model(self, request: Request) -> Response:
        served = self._select(request)
        versions = self.server.watcher.loaded.models[served.release.model].by_version
        tensors = await self.server.watcher.residency.describe(served.file)
        return _json(_metadata(served, tensors, sorted(versions)))

    async def _model_ready(self, request: Request) -> Response:
        served = self._select(request)
        ready = self.server.watcher.residency.will_answer(served.file)
        about = {"name": served.release.model, "version": served.release.version, "ready": ready}
        return _json(about, 200 if ready else 503)

    async def _metrics(self, _: Request) -> Response:
        text = await asyncio.to_thread(self.server.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    def _select(self, request: Request) -> ServedModel:
        parameters = request.path_params
        return self.server.watcher.loaded.select(parameters["model"], parameters.get("version", ""))


def _metadata(served: ServedModel, tensors: Tensors, versions: list[str]) -> dict[str, Any]:
    release = served.release
    return {
        "name": release.model,
        "versions": versions,
        "platform": "archlab_table" if release.kind == "table" else "onnxruntime_onnx",
        "inputs": [_tensor(spec) for spec in tensors.inputs],
        "outputs": [_tensor(spec) for spec in tensors.outputs],
        "parameters": {
            "release": release.id,
            "version": release.version,
            "role": release.role,
            "team": release.team,
            "keys": list(release.keys),
            "columns": [{"name": column.name, "source": column.source} for column in release.columns],
        },
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


async def _serving_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServingError)
    status, headers, body = error_response(error)
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": f"{request.method} {request.url.path}: {error.detail}"}, error.status_code)


async def _our_error(request: Request, error: Exception) -> Response:
    return _json({"error": f"{request.method} {request.url.path}: {type(error).__name__} in the server"}, 500)


def _log_to_stderr() -> None:
    logger = logging.getLogger("archlab_serving")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


app = App()
