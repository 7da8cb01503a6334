"""The endpoint `POST /v2/models/{model}[/versions/{version}]/infer`; plain ASGI, because it is the hot path."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial

import orjson
from starlette.types import Receive, Scope, Send

from .body import PACK_FROM_BYTES, ClientGoneError, discard, pack, read, unpack
from .engine import Engine
from .errors import BadRequestError, ServingError
from .protocol.messages import Answer, InferRequest
from .protocol.rest import HEADER_LENGTH, format_response, parse_request
from .query import Query
from .settings import Settings
from .shares import TEAM

Headers = Mapping[bytes, bytes]
Response = tuple[int, list[tuple[bytes, bytes]], bytes]

_ASKED_BY_HEADER = frozenset(
    {
        *(b"x-archlab-version", b"x-archlab-shadow", b"x-archlab-min-feed", b"x-archlab-min-snapshot"),
        *(b"x-request-id", b"x-envoy-expected-rq-timeout-ms"),
    }
)
"""What a query is made of beside its path."""
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_CLOSE = (b"connection", b"close")


class Endpoint:
    """Reads requests, asks the engine, sends answers."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine

    async def serve(self, scope: Scope, receive: Receive, send: Send, model: str, version: str) -> None:
        """Reads the request, answers it, never raises."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        share = self._engine.shares.of(headers.get(TEAM))
        try:
            await self._engine.let_in(share)
        except ServingError as error:
            await send_response(send, await self._refused(error, headers, receive))
            return
        try:
            await send_response(send, await self._respond(headers, receive, model, version))
        except ClientGoneError:
            pass
        finally:
            self._engine.let_out(share)

    def at_once(self, headers: Headers, body: bytes, model: str, version: str) -> Response | None:
        """The answer to a request that is here as a whole, where nothing has to be waited for; otherwise None.

        After None the request is to be served as every other one; nothing of it has been counted.
        """
        if len(body) > self._settings.max_body_bytes or b"content-encoding" in headers:
            return None
        if len(body) > PACK_FROM_BYTES and b"accept-encoding" in headers:
            return None
        share = self._engine.shares.of(headers.get(TEAM))
        if share is None:
            return self._answered(headers, body, model, version)
        try:
            if not share.take():
                return None
        except ServingError as error:
            self._engine.refuse(error)
            return error_response(error)
        response = self._answered(headers, body, model, version)
        if response is None:
            share.give_back()
        else:
            share.leave()
        return response

    def _answered(self, headers: Headers, body: bytes, model: str, version: str) -> Response | None:
        engine = self._engine
        try:
            engine.admit()
        except ServingError as error:
            return error_response(error)
        try:
            query = _query(headers, model, version, None)
            return engine.at_once(query, partial(parse_request, body, headers.get(HEADER_LENGTH)), _ok)
        except ServingError as error:
            return error_response(error)
        finally:
            engine.leave()

    async def _refused(self, error: ServingError, headers: Headers, receive: Receive) -> Response:
        """What a request is told that is not let in; whoever asks first whether to send its body need not send it."""
        settings, response = self._settings, error_response(error)
        if b"expect" in headers or not await discard(receive, settings.max_body_bytes, settings.body_timeout_s):
            response[1].append(_CLOSE)
        return response

    async def _respond(self, headers: Headers, receive: Receive, model: str, version: str) -> Response:
        limit = self._settings.max_body_bytes
        try:
            packed = await read(headers, receive, limit, self._settings.body_timeout_s)
        except ServingError as error:
            self._engine.refuse(error)
            status, sent, message = error_response(error)
            return status, [*sent, _CLOSE], message  # nobody reads what is left of the body
        try:
            encoding = headers.get(b"content-encoding")
            body = packed if encoding is None else unpack(packed, encoding, limit)
            query = _query(headers, model, version, partial(_hung_up, receive))
        except ServingError as error:
            self._engine.refuse(error)
            return error_response(error)

        def parse() -> InferRequest:
            return parse_request(body, headers.get(HEADER_LENGTH))

        try:
            response = await self._engine.infer(query, parse, _ok)
        except ServingError as error:
            return error_response(error)
        accepted = headers.get(b"accept-encoding")
        return response if accepted is None else await _packed(response, accepted)


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
        return 200, [_JSON, *answer.notices], content
    return 200, [_BINARY, (HEADER_LENGTH, b"%d" % json_length), *answer.notices], content


async def _packed(response: Response, accepted: bytes) -> Response:
    status, headers, body = response
    packed, encoding = await pack(body, accepted)
    return response if encoding is None else (status, [*headers, (b"content-encoding", encoding)], packed)


def _query(headers: Headers, model: str, version: str, gone: Callable[[], bool] | None) -> Query:
    if _ASKED_BY_HEADER.isdisjoint(headers):
        return Query(model, version, gone=gone)
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
