"""A closed-loop HTTP/1.1 client: every connection asks again as soon as it is answered.

One process and one thread on uvloop; an answer costs it some 20 µs, so it has a core of its own where there is one.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple, cast

import uvloop

_END = b"\r\n\r\n"
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_UNKNOWN, _CHUNKED = -2, -1
"""Instead of an answer's length: before its head is whole, and while its last chunk is missing."""


class AnswerError(Exception):
    """A server hung up, or answered with another status than 200; carries the beginning of what it said."""


class Answer(NamedTuple):
    """A whole response with status 200; header names in lower case."""

    headers: dict[bytes, bytes]
    body: bytes


class Sample(NamedTuple):
    """What one round of one server took."""

    requests: int
    seconds: float
    latencies_us: list[float]
    client_s: float
    """CPU time of this process: near `seconds`, the client was the limit and not the server."""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    def percentile_us(self, percent: int) -> float:
        """A percentile of the latencies; with a single request its latency."""
        if len(self.latencies_us) < 2:
            return self.latencies_us[0]
        return statistics.quantiles(self.latencies_us, n=100, method="inclusive")[percent - 1]


def parse_head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of a response, `head` without the empty line."""
    status, *lines = head.split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return int(status.split(b" ")[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


def parse_chunks(data: bytes) -> tuple[int, bytes] | None:
    """Length on the wire and content of a chunked body without trailers; None while it is not whole."""
    parts: list[bytes] = []
    at = 0
    while (end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:end].partition(b";")[0], 16)
        at = end + 2 + size + 2
        if at > len(data):
            return None
        if size == 0:
            return at, b"".join(parts)
        parts.append(data[end + 2 : end + 2 + size])
    return None


class Connection(asyncio.Protocol):
    """One connection. `requests` are sent in turn, beginning with the `first`th."""

    def __init__(self, requests: Sequence[bytes], first: int) -> None:
        self.latencies_us: list[float] = []
        self.answers: list[Answer] | None = None
        """A list keeps the whole answers."""
        self._requests = requests
        self._next = first % len(requests)
        self._buffer = b""
        self._body = 0
        self._whole = _UNKNOWN
        self._until = 0.0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast("asyncio.Transport", transport)

    async def run(self, until: float) -> None:
        """Asks until the moment on `time.perf_counter`, at least once; ends with the last answer.

        Raises:
            AnswerError: see there.
        """
        self._until = until
        self._send()
        try:
            await self._done
        finally:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Takes a part of an answer; a whole one makes room for the next request."""
        self._buffer = data if not self._buffer else self._buffer + data
        try:
            if self._whole == _UNKNOWN and (end := self._buffer.find(_END)) >= 0:
                self._body, self._whole = end + len(_END), self._length(end)
            if self._whole == _CHUNKED and (chunks := parse_chunks(self._buffer[self._body :])) is not None:
                self._whole = self._body + chunks[0]
        except (AnswerError, ValueError) as error:
            self._fail(error)
            return
        if 0 <= self._whole <= len(self._buffer):
            self._answered()

    def connection_lost(self, error: Exception | None) -> None:
        """A server that hangs up ends the round."""
        self._fail(error or AnswerError(f"the server hung up after {self._buffer[:200]!r}"))

    def _send(self) -> None:
        request = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        self._buffer, self._whole = b"", _UNKNOWN
        self._started = time.perf_counter()
        self._transport.write(request)

    def _length(self, end: int) -> int:
        """Of the whole answer, whose head ends there."""
        if self._buffer[9:12] != b"200":
            raise AnswerError(self._buffer[:1500].decode("latin-1"))
        # Most of what an answer costs the client would be a whole parse of its head.
        found = _CONTENT_LENGTH.search(self._buffer, 0, end)
        if found is not None:
            return end + len(_END) + int(found[1])
        if parse_head(self._buffer[:end])[1].get(b"transfer-encoding") != b"chunked":
            raise AnswerError(f"neither a length nor chunks: {self._buffer[:end].decode('latin-1')}")
        return _CHUNKED

    def _answered(self) -> None:
        now = time.perf_counter()
        self.latencies_us.append((now - self._started) * 1e6)
        if self.answers is not None:
            headers = parse_head(self._buffer[: self._body - len(_END)])[1]
            body = self._buffer[self._body : self._whole]
            chunks = parse_chunks(body) if b"transfer-encoding" in headers else None
            self.answers.append(Answer(headers, body if chunks is None else chunks[1]))
        if now < self._until:
            self._send()
        elif not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)


def load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Sample:
    """A round against `127.0.0.1:port`; connecting is not in it.

    Raises:
        AnswerError: an answer was not 200, or had no length.
        OSError: nothing listens.
    """
    return uvloop.run(_load(port, requests, connections, seconds))


def ask(port: int, request: bytes) -> Answer:
    """One answer.

    Raises:
        AnswerError, OSError: as `load`.
    """
    return uvloop.run(_ask(port, request))


async def _load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Sample:
    opened = [await _connect(port, requests, first) for first in range(connections)]
    started, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*(connection.run(started + seconds) for connection in opened))
    elapsed, client_s = time.perf_counter() - started, time.process_time() - worked
    latencies = [latency for connection in opened for latency in connection.latencies_us]
    return Sample(len(latencies), elapsed, latencies, client_s)


async def _ask(port: int, request: bytes) -> Answer:
    connection = await _connect(port, [request], 0)
    connection.answers = []
    await connection.run(0.0)
    return connection.answers[0]


async def _connect(port: int, requests: Sequence[bytes], first: int) -> Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(requests, first), "127.0.0.1", port)
    return connection
