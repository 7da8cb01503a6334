"""Answers one inference request; plain ASGI, because it is the hot path."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send

from .errors import (
    BadRequestError,
    BodyTooLargeError,
    ServingError,
    UnavailableError,
    UnsupportedEncodingError,
)
from .features import assemble, row_count
from .metrics import Metrics, ModelMetrics
from .prediction_log import PredictionLog, Record
from .protocol import HEADER_LENGTH, Answer, InferRequest, format_response, parse_request
from .repository import ServedModel
from .runtime import OnnxModel, Table
from .settings import Settings
from .watcher import Watcher

logger = logging.getLogger("archlab_serving")

Headers = Mapping[bytes, bytes]
Response = tuple[int, list[tuple[bytes, bytes]], bytes]

_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_ZLIB_WINDOW = {b"gzip": 31, b"deflate": 15}


class ClientGoneError(Exception):
    """The caller hung up before the request was whole."""


class Inference:
    """The endpoint `POST /v2/models/{model}[/versions/{version}]/infer`."""

    def __init__(self, settings: Settings, watcher: Watcher, metrics: Metrics, log: PredictionLog) -> None:
        self._settings = settings
        self._watcher = watcher
        self._metrics = metrics
        self._log = log
        self._unknown = ModelMetrics(metrics, "-", "-", "-")
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="inference")
        self._in_flight = 0
        self._prefix = f"{settings.unit}-{settings.replica}-{time.time_ns():x}-"
        self._numbers = itertools.count(1)
        metrics.in_flight.set_function(lambda: float(self._in_flight))

    async def serve(self, scope: Scope, receive: Receive, send: Send, model: str, version: str) -> None:
        """Reads the request, answers it, never raises."""
        if self._in_flight >= self._settings.max_concurrency:
            self._unknown.record(503, 0.0, 0.0)
            error = UnavailableError(f"{self._in_flight} requests are being answered already; try again")
            await send_response(send, error_response(error))
            return
        self._in_flight += 1
        try:
            headers: dict[bytes, bytes] = dict(scope["headers"])
            await send_response(send, await self._respond(headers, receive, model, version))
        except ClientGoneError:
            pass
        finally:
            self._in_flight -= 1

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True)

    async def _respond(self, headers: Headers, receive: Receive, model: str, version: str) -> Response:
        call = _Call(self._unknown)
        try:
            body = await self._body(headers, receive)
            call.begin()
            if b"x-archlab-min-snapshot" in headers or b"x-archlab-min-feed" in headers:
                await self._catch_up(headers, call)
            version = version or headers.get(b"x-archlab-version", b"").decode("latin-1")
            served = self._watcher.loaded.find(model, version) or await self._find_again(model, version, call)
            call.metrics = served.metrics
            response = await self._answer(served, headers, body, call)
        except ServingError as error:
            response = error_response(error)
        except ClientGoneError:
            raise
        except Exception as error:
            logger.exception("model %s could not answer", model)
            response = error_response(ServingError(f"model {model!r}: {type(error).__name__} in the server: {error}"))
        call.end(response[0])
        return response

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        limit = self._settings.max_body_bytes
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            raise BodyTooLargeError(f"the body has {int(declared)} bytes; at most {limit} are taken")
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise BodyTooLargeError(f"the body has more than {limit} bytes")
            parts.append(part)
            more = message.get("more_body", False)
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        encoding = headers.get(b"content-encoding")
        return body if encoding is None else _decompress(body, encoding, limit)

    async def _catch_up(self, headers: Headers, call: _Call) -> None:
        min_feed = _sequence(headers, b"x-archlab-min-feed")
        min_snapshot = _sequence(headers, b"x-archlab-min-snapshot")
        watcher = self._watcher
        if watcher.loaded.sequence < min_feed or watcher.snapshot.sequence < min_snapshot:
            call.pause()
            try:
                await watcher.catch_up(min_feed, min_snapshot)
            finally:
                call.resume()

    async def _find_again(self, model: str, version: str, call: _Call) -> ServedModel:
        """A name that isn't known yet may stand in a feed that is a moment old."""
        call.pause()
        await self._watcher.refresh()
        call.resume()
        return self._watcher.loaded.select(model, version)

    async def _answer(self, served: ServedModel, headers: Headers, body: bytes, call: _Call) -> Response:
        request = parse_request(body, headers.get(HEADER_LENGTH))
        snapshot = self._watcher.snapshot
        parameters: dict[str, str | int] = {
            "model_version": served.release.version,
            "release": served.release.id,
            "snapshot": snapshot.sequence,
        }
        backend = served.backend
        if isinstance(backend, Table):
            keys, prediction = _look_up(served, backend, request, self._settings.max_rows)
            parameters["features_as_of"] = backend.business_time
        else:
            binding = served.binding(snapshot)
            inputs = assemble(binding, request.inputs, self._settings.max_rows)
            if inputs.as_of:
                parameters["features_as_of"] = inputs.as_of
            if binding.missing:
                parameters["features_missing"] = binding.missing
            keys = inputs.keys
            if len(inputs.matrix) <= backend.inline_rows:
                prediction = backend.predict(inputs.matrix)
            else:
                prediction = await self._predict(backend, inputs.matrix, call)
        request_id = request.id or headers.get(b"x-request-id", b"").decode("latin-1")
        answer = Answer(served.release.model, served.release.version, request_id, prediction, parameters)
        content, json_length = format_response(answer, binary=request.binary_output)
        self._record(served, headers, answer, keys, snapshot.sequence, call)
        return _ok(content, json_length)

    async def _predict(self, model: OnnxModel, matrix: NDArray[np.float32], call: _Call) -> NDArray[np.float32]:
        """Inference that would keep other requests waiting, in another thread."""
        call.pause()
        try:
            loop = asyncio.get_running_loop()
            prediction, cpu_ns = await loop.run_in_executor(self._pool, _timed, model, matrix)
        finally:
            call.resume()
        call.cpu_ns += cpu_ns
        return prediction

    def _record(
        self, served: ServedModel, headers: Headers, answer: Answer, keys: Any, snapshot: int, call: _Call
    ) -> None:
        self._log.append(
            Record(
                wall_s=time.time(),
                request_id=answer.id or f"{self._prefix}{next(self._numbers)}",
                model=answer.model,
                version=answer.version,
                release=served.release.id,
                snapshot=snapshot,
                keys=keys,
                prediction=answer.prediction,
                us=call.elapsed_us(),
                shadow=b"-shadow" in headers.get(b"host", b""),
            )
        )


class _Call:
    """Stop watches of one request: wall time, and the CPU time that its own thread spent on it."""

    __slots__ = ("_cpu_started", "_started", "cpu_ns", "metrics")

    def __init__(self, metrics: ModelMetrics) -> None:
        self.metrics = metrics
        self.cpu_ns = 0
        self.begin()

    def begin(self) -> None:
        self._started = time.perf_counter_ns()
        self._cpu_started = time.thread_time_ns()

    def pause(self) -> None:
        """Other requests run on this thread from here."""
        self.cpu_ns += time.thread_time_ns() - self._cpu_started

    def resume(self) -> None:
        self._cpu_started = time.thread_time_ns()

    def elapsed_us(self) -> int:
        return (time.perf_counter_ns() - self._started) // 1000

    def end(self, code: int) -> None:
        self.pause()
        self.metrics.record(code, (time.perf_counter_ns() - self._started) / 1e9, self.cpu_ns / 1e9)


def error_response(error: ServingError) -> Response:
    """The protocol's error object."""
    headers = [_JSON]
    if error.status == 503:
        headers.append((b"retry-after", b"1"))
    return error.status, headers, orjson.dumps({"error": error.message})


async def send_response(send: Send, response: Response) -> None:
    """Sends a whole response."""
    status, headers, body = response
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _ok(content: bytes, json_length: int | None) -> Response:
    if json_length is None:
        return 200, [_JSON], content
    return 200, [_BINARY, (HEADER_LENGTH, b"%d" % json_length)], content


def _sequence(headers: Headers, name: bytes) -> int:
    text = headers.get(name)
    if text is None:
        return -1
    if not text.isdigit():
        raise BadRequestError(f"header {name.decode()} is {text.decode('latin-1')!r}; a whole number is needed")
    return int(text)


def _look_up(
    served: ServedModel, table: Table, request: InferRequest, max_rows: int
) -> tuple[Any, NDArray[np.float32]]:
    """The table's answers; columns that an online version of the model would take are passed over."""
    tensors = request.inputs
    known = {*served.release.keys, *served.release.table_keys, *(column.name for column in served.release.columns)}
    for name, tensor in tensors.items():
        if name not in known:
            raise BadRequestError(f"tensor {name!r} is unknown; this table is asked by {', '.join(table.keys)}")
        if name in table.keys and tensor.datatype != "BYTES":
            raise BadRequestError(f"tensor {name!r} has datatype {tensor.datatype}; keys are BYTES")
    for name in table.keys:
        if name not in tensors:
            raise BadRequestError(f"tensor {name!r} is missing; this table is asked by {', '.join(table.keys)}")
    row_count(tensors, max_rows)
    keys = {name: tensors[name].texts for name in table.keys}
    return keys, table.look_up(list(keys.values()))


def _timed(model: OnnxModel, matrix: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    started = time.thread_time_ns()
    prediction = model.predict(matrix)
    return prediction, time.thread_time_ns() - started


def _decompress(body: bytes, encoding: bytes, limit: int) -> bytes:
    if encoding == b"identity":
        return body
    window = _ZLIB_WINDOW.get(encoding)
    if window is None:
        shown = encoding.decode("latin-1")
        raise UnsupportedEncodingError(f"Content-Encoding {shown!r} is not offered; gzip, deflate and identity are")
    inflater = zlib.decompressobj(window)
    try:
        data = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequestError(f"the body is not {encoding.decode()}: {error}") from error
    if len(data) > limit:
        raise BodyTooLargeError(f"the body unpacks to more than {limit} bytes")
    if not inflater.eof:
        raise BadRequestError(f"the {encoding.decode()} body ends too early")
    return data
