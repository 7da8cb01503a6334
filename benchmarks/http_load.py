"""A small load client over a unix socket: connections that each ask again as soon as they are answered."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
import psutil
import uvloop


@dataclass(frozen=True)
class Target:
    """What a round asks: the process behind a socket, and the bytes of one request."""

    socket: Path
    pid: int
    request: bytes


@dataclass(frozen=True)
class Round:
    """What one round measured. `cpu_us` is the server process's CPU time per request."""

    rate: float
    p50_us: float
    p99_us: float
    cpu_us: float

    def __str__(self) -> str:
        return f"{self.rate:7.0f}/s  p50 {self.p50_us:6.0f} µs  p99 {self.p99_us:6.0f} µs  CPU {self.cpu_us:4.0f} µs"


@dataclass
class Caller(asyncio.Protocol):
    """One connection that sends the next request when the last is answered."""

    request: bytes
    until: float
    done: asyncio.Future[None]
    latencies_us: list[float]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        """Sends one request."""
        self.buffer = b""
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Takes an answer; a whole one makes room for the next request."""
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        now = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 200") and not self.done.done():
            self.done.set_exception(RuntimeError(self.buffer.decode()))
            return
        self.latencies_us.append((now - self.started) * 1e6)
        if now < self.until:
            self.send()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """A server that hangs up ends the round."""
        if not self.done.done():
            self.done.set_exception(error or RuntimeError("the server hung up"))


def http_request(path: str, document: dict[str, Any]) -> bytes:
    """A POST with a JSON body."""
    body = orjson.dumps(document)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def one_round(target: Target, connections: int, seconds: float) -> Round:
    """One round of one contender."""
    before = cpu_s(target.pid)
    latencies = uvloop.run(load(target.socket, target.request, connections, seconds))
    percentiles = statistics.quantiles(latencies, n=100)
    cpu_us = (cpu_s(target.pid) - before) / len(latencies) * 1e6
    return Round(len(latencies) / seconds, percentiles[49], percentiles[98], cpu_us)


async def load(socket: Path, request: bytes, connections: int, seconds: float) -> list[float]:
    """Latencies of a round, microseconds.

    Raises:
        RuntimeError: an answer was not 200; holds it.
    """
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    until = time.perf_counter() + seconds
    callers = [Caller(request, until, loop.create_future(), latencies) for _ in range(connections)]
    for caller in callers:
        await loop.create_unix_connection(partial(_same, caller), str(socket))
    try:
        await asyncio.gather(*(caller.done for caller in callers))
    finally:
        for caller in callers:
            caller.transport.close()
    return latencies


def _same(caller: Caller) -> Caller:
    return caller


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, and least to most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
