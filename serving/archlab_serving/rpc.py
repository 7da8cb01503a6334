"""The protocol over gRPC (`inference.GRPCInferenceService`), beside HTTP in the same process and event loop.

Calls carry in their metadata what requests over HTTP carry in headers. Errors have HTTP's messages.
"""

from __future__ import annotations

import asyncio
import logging
import stat
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from open_inference.grpc import protocol as pb

from . import operators
from .about import About
from .engine import Engine
from .errors import BadRequestError, ConfigurationError, ServingError, UnavailableError, UnknownModelError
from .protocol import grpc_extensions as ext
from .protocol.grpc import decode, format_response, model_metadata, parse_request, server_metadata
from .protocol.messages import Answer, InferRequest
from .query import Query
from .settings import Settings
from .shares import TEAM, Share
from .watcher import Watcher

logger = logging.getLogger("archlab_serving")

SERVICE = "inference.GRPCInferenceService"
HEALTH = "grpc.health.v1.Health"
MODEL = "x-archlab-model"
"""The model's name as the gateway read it to choose a route."""
GRACE_S = 5.0
"""How long calls under way may take to end; as long as the gateway waits for an answer."""
_UNIX = "unix:"
_MAX_MESSAGE = 2000
"""Bytes of an error, each up to three in the header that it travels in; peers limit headers to 8 KiB."""
_MAX_DIGITS = 15
"""Of a number in the metadata."""
_PATIENCE = "x-envoy-expected-rq-timeout-ms"

Context = grpc.aio.ServicerContext[bytes, bytes]
Metadata = Mapping[str, str | bytes]
Method = Callable[[bytes, Context], Awaitable[bytes]]

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.UNIMPLEMENTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""gRPC's code for an HTTP status; everything else is INTERNAL."""


class RpcServer:
    """The gRPC server of one process; its address is `Settings.grpc`."""

    def __init__(self, settings: Settings, engine: Engine, about: About, watcher: Watcher) -> None:
        self._address = settings.grpc
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.max_body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        self._inference = inference = _Inference(engine, about)
        self._server.add_generic_rpc_handlers(
            (
                _service(SERVICE, {**inference.methods(), **_repository(watcher)}),
                _service(HEALTH, {"Check": _health(about)}),
            )
        )

    async def start(self) -> None:
        """Listens; a socket file that a killed server left is replaced.

        Raises:
            ConfigurationError: the address can't be listened on.
        """
        self._remove_socket()
        try:
            self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise ConfigurationError(f"gRPC can't listen on {self._address!r}: {error}") from error
        await self._server.start()
        logger.info("gRPC on %s", self._address)

    async def stop(self) -> None:
        """Takes no more calls, lets those under way end, and removes the socket."""
        await self._server.stop(GRACE_S)
        await self._inference.finish()
        self._remove_socket()

    def _remove_socket(self) -> None:
        if self._address.startswith(_UNIX):
            path = Path(self._address.removeprefix(_UNIX).removeprefix("//"))
            with suppress(FileNotFoundError):
                if stat.S_ISSOCK(path.stat().st_mode):
                    path.unlink()


class _Inference:
    """The standard calls."""

    def __init__(self, engine: Engine, about: About) -> None:
        self._engine = engine
        self._about = about
        self._working: set[asyncio.Task[bytes]] = set()

    def methods(self) -> dict[str, Method]:
        """By name."""
        return {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ServerMetadata": self._about_server,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._about_model,
            "ModelInfer": self._infer,
        }

    async def _live(self, _: bytes, __: Context) -> bytes:
        return pb.ServerLiveResponse(live=True).SerializeToString()

    async def _ready(self, _: bytes, __: Context) -> bytes:
        return pb.ServerReadyResponse(ready=self._about.ready).SerializeToString()

    async def _about_server(self, _: bytes, __: Context) -> bytes:
        return server_metadata(self._about.server()).SerializeToString()

    async def _model_ready(self, raw: bytes, context: Context) -> bytes:
        asked: pb.ModelReadyRequest = decode(pb.ModelReadyRequest, raw)
        version = _checked(context, asked.name, asked.version)
        try:
            ready = bool(self._about.model_ready(asked.name, version)["ready"])
        except UnavailableError:
            ready = False
        return pb.ModelReadyResponse(ready=ready).SerializeToString()

    async def _about_model(self, raw: bytes, context: Context) -> bytes:
        asked: pb.ModelMetadataRequest = decode(pb.ModelMetadataRequest, raw)
        version = _checked(context, asked.name, asked.version)
        return model_metadata(await self._about.model(asked.name, version)).SerializeToString()

    async def finish(self) -> None:
        """Waits for what cancelled calls have left behind."""
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _infer(self, raw: bytes, context: Context) -> bytes:
        share = self._share(context)
        await self._engine.let_in(share)
        # A call that is cancelled doesn't cancel the work: others may wait for the same file or batch.
        work = asyncio.ensure_future(self._answer(raw, context, _hung_up(), share))
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        return await asyncio.shield(work)

    def _share(self, context: Context) -> Share | None:
        shares = self._engine.shares
        if not shares:
            return None
        team = _text(_metadata(context), TEAM.decode())
        return shares.of(team.encode() if team is not None else None)

    async def _answer(self, raw: bytes, context: Context, gone: Callable[[], bool], share: Share | None) -> bytes:
        try:
            message, query = self._read(raw, context, gone)
            return await self._engine.infer(query, lambda: parse_request(message), partial(_ok, context))
        finally:
            self._engine.let_out(share)

    def _read(self, raw: bytes, context: Context, gone: Callable[[], bool]) -> tuple[pb.ModelInferRequest, Query]:
        try:
            message: pb.ModelInferRequest = decode(pb.ModelInferRequest, raw)
            return message, _query(message, context, gone)
        except ServingError as error:
            self._engine.refuse(error)
            raise


def _repository(watcher: Watcher) -> dict[str, Method]:
    """The model repository extension's calls, for operators only."""

    async def index(raw: bytes, context: Context) -> bytes:
        operators.check_scope(_text(_metadata(context), operators.SCOPE))
        states = operators.index(watcher, ready_only=decode(ext.IndexRequest, raw).ready)
        made: bytes = ext.IndexResponse(models=[state._asdict() for state in states]).SerializeToString()
        return made

    async def load(raw: bytes, context: Context) -> bytes:
        model = _operated(decode(ext.LoadRequest, raw), context)
        await operators.load(watcher, model)
        made: bytes = ext.LoadResponse(model_name=model, isLoaded=True).SerializeToString()
        return made

    async def unload(raw: bytes, context: Context) -> bytes:
        model = _operated(decode(ext.UnloadRequest, raw), context)
        operators.unload(watcher, model)
        made: bytes = ext.UnloadResponse(model_name=model, isUnloaded=True).SerializeToString()
        return made

    return {"RepositoryIndex": index, "RepositoryModelLoad": load, "RepositoryModelUnload": unload}


def _operated(asked: Any, context: Context) -> str:
    """The model that an operator's call names."""
    operators.check_scope(_text(_metadata(context), operators.SCOPE))
    operators.check_parameters(asked.parameters)
    return str(asked.model_name or asked.first_name)


def _health(about: About) -> Method:
    """gRPC's own health check, as gateways and orchestrators ask it."""

    async def check(raw: bytes, _: Context) -> bytes:
        service = decode(ext.HealthRequest, raw).service
        if service not in ("", SERVICE):
            raise UnknownModelError(f"service {service!r} is not offered; {SERVICE} is")
        made: bytes = ext.HealthResponse(status=ext.SERVING if about.ready else ext.NOT_SERVING).SerializeToString()
        return made

    return check


def _service(name: str, methods: Mapping[str, Method]) -> grpc.GenericRpcHandler:
    """Messages go in and out as bytes: they are read and written where the time is measured, and errors are named."""
    return grpc.method_handlers_generic_handler(
        name, {method: grpc.unary_unary_rpc_method_handler(_guarded(call)) for method, call in methods.items()}
    )


def _guarded(call: Method) -> Any:
    """The call with its errors as gRPC states them."""

    async def answer(raw: bytes, context: Context) -> bytes:
        try:
            return await call(raw, context)
        except ServingError as error:
            await _abort(context, error)
        except Exception as error:
            logger.exception("a call could not be answered")
            await _abort(context, ServingError(f"{type(error).__name__} in the server"))
        raise AssertionError("unreachable")  # abort raises

    return answer


async def _abort(context: Context, error: ServingError) -> None:
    again = (("retry-after", str(error.retry_after_s)),) if error.retry_after_s else ()
    await context.abort(CODES.get(error.status, grpc.StatusCode.INTERNAL), _shortened(error.message), again)


def _shortened(message: str) -> str:
    encoded = message.encode(errors="replace")
    return message if len(encoded) <= _MAX_MESSAGE else f"{encoded[:_MAX_MESSAGE].decode(errors='ignore')}…"


def _ok(context: Context, answer: Answer, request: InferRequest) -> bytes:
    if answer.notices:
        context.set_trailing_metadata(tuple((name.decode(), value.decode()) for name, value in answer.notices))
    return format_response(answer, request).SerializeToString()


def _hung_up() -> Callable[[], bool]:
    """Whether the call that asks this was cancelled since; the context's own `cancelled` doesn't say so in time."""
    call = asyncio.current_task()
    assert call is not None
    return lambda: call.cancelling() > 0


def _query(message: pb.ModelInferRequest, context: Context, gone: Callable[[], bool]) -> Query:
    metadata = _metadata(context)
    _check_model(metadata, message.model_name)
    named = _text(metadata, "x-archlab-version") or ""
    shadow = "x-archlab-shadow" in metadata
    return Query(
        message.model_name,
        # a copy's message is its original's; the metadata say which version the copy is for
        named or message.model_version if shadow else message.model_version or named,
        _text(metadata, "x-request-id") or "",
        shadow,
        _number(metadata, "x-archlab-min-feed"),
        _number(metadata, "x-archlab-min-snapshot"),
        _deadline(context, metadata),
        gone,
    )


def _deadline(context: Context, metadata: Metadata) -> float:
    """When the caller stops waiting, or Envoy if that is sooner, on the monotonic clock; 0 when neither says."""
    waits = [] if (remaining_s := context.time_remaining()) is None else [remaining_s]
    patience_ms = _number(metadata, _PATIENCE)
    if patience_ms > 0:
        waits.append(patience_ms / 1000)
    return time.monotonic() + min(waits) if waits else 0.0


def _checked(context: Context, model: str, version: str) -> str:
    """The version that is asked for."""
    metadata = _metadata(context)
    _check_model(metadata, model)
    return version or _text(metadata, "x-archlab-version") or ""


def _check_model(metadata: Metadata, model: str) -> None:
    """A message may say its name twice, and the last one counts: the gateway may have read another."""
    routed = _text(metadata, MODEL)
    if routed is not None and routed != model:
        raise BadRequestError(f"the message names model {model!r}, {MODEL} says {routed!r}")


def _metadata(context: Context) -> Metadata:
    return dict(context.invocation_metadata() or ())


def _text(metadata: Metadata, name: str) -> str | None:
    value = metadata.get(name)
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _number(metadata: Metadata, name: str) -> int:
    text = _text(metadata, name)
    if text is None:
        return -1
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise BadRequestError(f"{name} is {text!r}; a whole number is needed")
    return int(text)
