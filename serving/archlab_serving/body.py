"""Bodies of HTTP messages: a request's is bounded in bytes and in time, an answer's is packed where the caller asks."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Coroutine, Generator, Mapping
from functools import lru_cache
from typing import Any

from starlette.types import Message, Receive

from .errors import BadRequestError, BodyTooLargeError, RequestTimeoutError, UnsupportedEncodingError

PACK_FROM_BYTES = 1024
"""Shorter answers fit into a packet or two as they are."""
_PACK_ASIDE_BYTES = 64 << 10
"""From here on packing takes about a millisecond, which the event loop hasn't got."""
_WINDOWS = {b"gzip": 31, b"deflate": 15}


class ClientGoneError(Exception):
    """The caller hung up before the request was whole."""


async def read(headers: Mapping[bytes, bytes], receive: Receive, limit: int, timeout_s: float) -> bytes:
    """The whole body, still packed.

    Args:
        limit: most bytes.
        timeout_s: longest that the body may take to arrive, from its head on.

    Raises:
        BodyTooLargeError: it is larger, or says that it will be.
        RequestTimeoutError: it wasn't whole in time.
        ClientGoneError: the caller hung up.
    """
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise BodyTooLargeError(f"the body has {int(declared)} bytes; at most {limit} are taken")
    receiving: Any = receive()
    # Nearly every body is here by now, and a timer would cost more than reading it.
    if isinstance(receiving, Coroutine):
        try:
            waiting = receiving.send(None)
        except StopIteration as received:
            if _is_last(received.value):
                return _part(received.value, limit)
            return await _in_time(_rest(received.value, receive, limit), timeout_s)
        receiving = _Resumed(receiving, waiting)
    return await _in_time(_rest(receiving, receive, limit), timeout_s)


async def discard(receive: Receive, limit: int, timeout_s: float) -> bool:
    """Reads on to the body's end and keeps nothing; whether it came there, by `limit` bytes and in time.

    A proxy that is answered before it has sent the whole body ends the connection, and its caller's with it.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while limit >= 0:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return False
                if _is_last(message):
                    return True
                limit -= len(message.get("body", b""))
    return False


def unpack(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body as it was before its Content-Encoding.

    Raises:
        BodyTooLargeError: it was larger than `limit`.
        UnsupportedEncodingError: the encoding is another than gzip, deflate and identity.
        BadRequestError: the body isn't in that encoding.
    """
    if encoding == b"identity":
        return body
    window = _WINDOWS.get(encoding)
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


async def pack(body: bytes, accepted: bytes) -> tuple[bytes, bytes | None]:
    """The body as the caller's Accept-Encoding wants it, and its encoding; None leaves it as it is."""
    encoding = preferred(accepted) if len(body) >= PACK_FROM_BYTES else None
    if encoding is None:
        return body, None
    packed = _deflated(body, encoding) if len(body) < _PACK_ASIDE_BYTES else await _deflated_aside(body, encoding)
    return (packed, encoding) if len(packed) < len(body) else (body, None)


@lru_cache(maxsize=64)
def preferred(accepted: bytes) -> bytes | None:
    """The encoding that an Accept-Encoding ranks first of those that are offered by name; None is identity."""
    weights: dict[bytes, float] = {}
    for entry in accepted.lower().split(b","):
        name, _, weight = entry.partition(b";")
        weights[name.strip()] = _weight(weight)
    best = max((*_WINDOWS, b"identity"), key=lambda name: weights.get(name, 0.0))
    return best if best in _WINDOWS and weights.get(best, 0.0) > 0 else None


def _weight(parameter: bytes) -> float:
    """The number of `q=0.5`; 1 without it, 0 where it is none."""
    name, _, value = parameter.partition(b"=")
    if not parameter.strip():
        return 1.0
    try:
        return float(value) if name.strip() == b"q" else 0.0
    except ValueError:
        return 0.0


def _deflated(body: bytes, encoding: bytes) -> bytes:
    deflater = zlib.compressobj(level=1, wbits=_WINDOWS[encoding])
    return deflater.compress(body) + deflater.flush()


async def _deflated_aside(body: bytes, encoding: bytes) -> bytes:
    return await asyncio.to_thread(_deflated, body, encoding)


class _Resumed:
    """A coroutine that has been run up to its first wait, to be awaited from there."""

    def __init__(self, coroutine: Coroutine[Any, Any, Message], waiting: Any) -> None:
        self._coroutine = coroutine
        self._waiting = waiting

    def __await__(self) -> Generator[Any, Any, Message]:
        waiting = self._waiting
        try:
            while True:
                try:
                    sent = yield waiting
                except asyncio.CancelledError as error:  # nothing else is thrown into a task
                    waiting = self._coroutine.throw(error)
                else:
                    waiting = self._coroutine.send(sent)
        except StopIteration as received:
            message: Message = received.value
            return message


async def _in_time(reading: Coroutine[Any, Any, bytes], timeout_s: float) -> bytes:
    try:
        async with asyncio.timeout(timeout_s):
            return await reading
    except TimeoutError:
        raise RequestTimeoutError(
            f"the body was not whole {timeout_s:g} s after its head; send it faster, or in smaller requests"
        ) from None


async def _rest(first: Any, receive: Receive, limit: int) -> bytes:
    """The body from its first message on, which may still have to be awaited."""
    message: Message = first if isinstance(first, dict) else await first
    body = bytearray(_part(message, limit))
    while not _is_last(message):
        message = await receive()
        body += _part(message, limit, len(body))
    return bytes(body)


def _part(message: Message, limit: int, before: int = 0) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    part: bytes = message.get("body", b"")
    if before + len(part) > limit:
        raise BodyTooLargeError(f"the body has more than {limit} bytes")
    return part


def _is_last(message: Message) -> bool:
    return not message.get("more_body", False)
