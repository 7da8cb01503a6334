"""The endpoint `POST /v2/models/{model}[/versions/{version}]/infer`; plain ASGI, because it is the hot path."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Coroutine, Mapping
from functools import partial

import orjson
from starlette.types import Receive, Scope, Send

from .engine import Engine, Query
from .errors import BadRequestError, BodyTooLargeError, ServingError, UnsupportedEncodingError
from .protocol.messages import Answer, InferRequest
from .protocol.rest import HEADER_LENGTH, format_response, parse_request
from .settings import Settings

Headers = Mapping[bytes, bytes]
Response = tuple[int, list[tuple[bytes, bytes]], bytes]

_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_ZLIB_WINDOW = {b"gzip": 31, b"deflate": 15}


class ClientGoneError(Exception):
    """The caller hung up before the request was whole."""


class Endpoint:
    """Reads requests, asks the engine, sends answers."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine

    async def serve(self, scope: Scope, receive: Receive, send: Send, model: str, version: str) -> None:
        """Reads the request, answers it, never raises."""
        try:
            self._engine.admit()
        except ServingError as error:
            await send_response(send, error_response(error))
            return
        try:
            headers: dict[bytes, bytes] = dict(scope["headers"])
            await send_response(send, await self._respond(headers, receive, model, version))
        except ClientGoneError:
            pass
        finally:
            self._engine.leave()

    async def _respond(self, headers: Headers, receive: Receive, model: str, version: str) -> Response:
        try:
            body = await self._body(headers, receive)
            query = _query(headers, model, version, partial(_hung_up, receive))
        except ServingError as error:
            self._engine.refuse(error)
            return error_response(error)

        def parse() -> InferRequest:
            return parse_request(body, headers.get(HEADER_LENGTH))

        try:
            return await self._engine.infer(query, parse, _ok)
        except ServingError as error:
            return error_response(error)

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


def error_response(error: ServingError) -> Response:
    """The protocol's error object."""
    headers = [_JSON]
    if error.retry_after_s:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    return error.status, headers, orjson.dumps({"error": error.message})


async def send_response(send: Send, response: Response) -> None:
    """Sends a whole response."""
    status, headers, body = response
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _ok(answer: Answer, request: InferRequest) -> Response:
    content, json_length = format_response(answer, request)
    if json_length is None:
        return 200, [_JSON], content
    return 200, [_BINARY, (HEADER_LENGTH, b"%d" % json_length)], content


def _query(headers: Headers, model: str, version: str, gone: Callable[[], bool]) -> Query:
    named = headers.get(b"x-archlab-version", b"").decode("latin-1")
    shadow = b"x-archlab-shadow" in headers
    return Query(
        model,
        # a copy's path is its original's; the header says which version the copy is for
        named or version if shadow else version or named,
        headers.get(b"x-request-id", b"").decode("latin-1"),
        shadow,
        _sequence(headers, b"x-archlab-min-feed"),
        _sequence(headers, b"x-archlab-min-snapshot"),
        _deadline(headers),
        gone,
    )


def _deadline(headers: Headers) -> float:
    """When Envoy gives the request up, by the monotonic clock; 0 when it didn't say."""
    text = headers.get(b"x-envoy-expected-rq-timeout-ms")
    if text is None:
        return 0.0
    if not text.isdigit() or len(text) > 12:
        shown = text.decode("latin-1")
        raise BadRequestError(f"header x-envoy-expected-rq-timeout-ms is {shown!r}; whole milliseconds are needed")
    return time.monotonic() + int(text) / 1000 if int(text) else 0.0


def _hung_up(receive: Receive) -> bool:
    """Looks without waiting: after the whole body a hang-up is all that is left to receive."""
    message = receive()
    if not isinstance(message, Coroutine):
        return False
    try:
        message.send(None)
    except StopIteration as received:
        return bool(received.value["type"] == "http.disconnect")
    message.close()
    return False


def _sequence(headers: Headers, name: bytes) -> int:
    text = headers.get(name)
    if text is None:
        return -1
    if not text.isdigit():
        raise BadRequestError(f"header {name.decode()} is {text.decode('latin-1')!r}; a whole number is needed")
    return int(text)


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
