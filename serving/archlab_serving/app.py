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

from . import operators
from .errors import ServingError, UnavailableError
from .rest import Endpoint, error_response
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
                *operators.routes(lambda: self.server.watcher),
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
        await server.start()
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

    @property
    def endpoint(self) -> Endpoint | None:
        """Of inference; None while the application isn't running."""
        return None if self._server is None else self._server.endpoint

    async def _about_server(self, _: Request) -> Response:
        return _json(self.server.about.server())

    async def _live(self, _: Request) -> Response:
        return _json({"live": True})

    async def _ready(self, _: Request) -> Response:
        ready = self.server.about.ready
        return _json({"ready": ready}, 200 if ready else 503)

    async def _about_model(self, request: Request) -> Response:
        return _json(await self.server.about.model(*_named(request)))

    async def _model_ready(self, request: Request) -> Response:
        about = self.server.about.model_ready(*_named(request))
        return _json(about, 200 if about["ready"] else 503)

    async def _metrics(self, _: Request) -> Response:
        text = await asyncio.to_thread(self.server.metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _named(request: Request) -> tuple[str, str]:
    """Model and version of a path; no version is the champion's."""
    return request.path_params["model"], request.path_params.get("version", "")


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
