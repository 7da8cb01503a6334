"""A link between two regions: a TCP proxy that delays, throttles and cuts. `python -m archlab.recovery.link`.

Replication on bare localhost hides every loss. The link is told what to do over a unix socket: one line of JSON in, one
out, answered when it is in force.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from archlab.errors import UnavailableError, UsageError
from archlab.recovery.shaping import Pacer, Shape
from archlab.spec.base import Spec

HOST = "127.0.0.1"
Place = tuple[str, int]
"""Host and port."""
CHUNK = 64 << 10
MAX_QUEUED = 4 << 20
"""Bytes on their way, per direction and connection; beyond it the sender waits, as with a full TCP window."""
TIMEOUT_S = 5.0


class LinkState(Spec):
    """What a link does and did."""

    shape: Shape
    connections: int
    queued_bytes: int
    """On their way right now."""
    forwarded_bytes: int


class Order(Spec):
    """What a link is told; nothing only asks."""

    shape: Shape | None = None
    drop: bool = False
    """Lose what is on its way and every connection."""


def tell(control: Path, order: Order | None = None, *, timeout_s: float = TIMEOUT_S) -> LinkState:
    """Tell a link what to do; its state when that is in force.

    Raises:
        UnavailableError: it does not answer.
    """
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(timeout_s)
            asked.connect(str(control))
            asked.sendall((order or Order()).model_dump_json().encode() + b"\n")
            with asked.makefile("rb") as answer:
                return LinkState.model_validate_json(answer.readline())
    except (OSError, ValidationError) as error:
        raise UnavailableError(f"The link at {control} does not answer: {error}.") from None


@dataclass(slots=True, eq=False)
class _Way:
    """One direction of one connection."""

    pacer: Pacer = field(default_factory=Pacer)
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    queued: int = 0
    ended: bool = False


class Link:
    """The proxy."""

    def __init__(self, shape: Shape | None = None) -> None:
        self.shape = shape or Shape()
        self.forwarded = 0
        self._changed = asyncio.Condition()
        self._ways: set[_Way] = set()
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self, ends: Iterable[tuple[Place, Place]], control: Path) -> None:
        """Carry connections until cancelled.

        Args:
            ends: where to listen, each with the place that its connections are for. One link carries all of them:
                it is cut for all.
            control: socket over which it is told what to do.
        """
        control.unlink(missing_ok=True)
        told = await asyncio.start_unix_server(self._told, str(control))
        control.chmod(0o600)
        async with told, asyncio.TaskGroup() as group:
            for here, there in ends:
                server = await asyncio.start_server(partial(self._connected, there), *here)
                group.create_task(server.serve_forever())

    async def _told(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            try:
                order = Order.model_validate_json(await reader.readline())
            except ValidationError as error:
                writer.write(json.dumps({"error": str(error)}).encode() + b"\n")
            else:
                await self._obey(order)
                writer.write(self._state().model_dump_json().encode() + b"\n")
            await writer.drain()
            writer.close()

    async def _obey(self, order: Order) -> None:
        async with self._changed:
            if order.shape:
                self.shape = order.shape
            self._changed.notify_all()
        if order.drop:
            doomed = list(self._connections)
            for task in doomed:
                task.cancel()
            await asyncio.gather(*doomed, return_exceptions=True)

    def _state(self) -> LinkState:
        return LinkState(
            shape=self.shape,
            connections=len(self._connections),
            queued_bytes=sum(way.queued for way in self._ways),
            forwarded_bytes=self.forwarded,
        )

    async def _connected(self, there: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._connections.add(task)
        try:
            await self._carry(there, reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._connections.discard(task)

    async def _carry(self, there: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._until(lambda: not self.shape.cut)
        there_reader, there_writer = await asyncio.open_connection(*there)
        try:
            async with asyncio.TaskGroup() as group:
                for source, sink in ((reader, there_writer), (there_reader, writer)):
                    way = _Way()
                    self._ways.add(way)
                    group.create_task(self._take(source, way))
                    group.create_task(self._deliver(way, sink))
        except* OSError:
            writer.transport.abort()
        finally:
            there_writer.transport.abort()

    async def _take(self, source: asyncio.StreamReader, way: _Way) -> None:
        """What the sender's side of the link does."""
        while data := await source.read(CHUNK):
            async with self._changed:
                way.waiting.append((way.pacer.arrival(time.monotonic(), len(data), self.shape), data))
                way.queued += len(data)
                self._changed.notify_all()
            await self._until(lambda: way.queued < MAX_QUEUED)
        async with self._changed:
            way.ended = True
            self._changed.notify_all()

    async def _deliver(self, way: _Way, sink: asyncio.StreamWriter) -> None:
        """What the receiver's side does."""
        try:
            while await self._next(way):
                due, data = way.waiting[0]
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._until(lambda: not self.shape.cut)
                way.waiting.popleft()
                sink.write(data)
                await sink.drain()
                self.forwarded += len(data)
                async with self._changed:
                    way.queued -= len(data)
                    self._changed.notify_all()
            sink.write_eof()
        finally:
            self._ways.discard(way)

    async def _next(self, way: _Way) -> bool:
        await self._until(lambda: bool(way.waiting) or way.ended)
        return bool(way.waiting)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)


def place(said: str) -> Place:
    """`PORT` of this machine, or `HOST:PORT`.

    Raises:
        UsageError: it is neither.
    """
    host, _, port = said.rpartition(":")
    if not port.isdigit():
        raise UsageError(f"{said!r} is no port, and no HOST:PORT.")
    return host or HOST, int(port)


async def _main(arguments: list[str]) -> None:
    *ends, control = arguments or [""]
    if not ends or len(ends) % 2:
        raise UsageError("python -m archlab.recovery.link LISTEN TO [LISTEN TO ...] CONTROL_SOCKET; each [HOST:]PORT")
    places = [place(end) for end in ends]
    await Link().serve(zip(places[::2], places[1::2], strict=True), Path(control))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(sys.argv[1:]))
