"""A small real server that says what reached it; run by uvicorn on a unix socket, and over gRPC on another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import grpc.aio

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

NAME = os.environ.get("UPSTREAM_NAME", "")
UNWELL = Path(os.environ.get("UPSTREAM_UNWELL", "/nonexistent"))
"""While this file exists, the server says that it is not ready."""
MIRRORED = Path(os.environ.get("UPSTREAM_MIRRORED", "/nonexistent"))
"""Gets a line for each mirrored request: nobody sees their answers."""


GRPC = os.environ.get("UPSTREAM_GRPC", "")


async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = bool(message.get("more_body"))
    headers = [(k.decode(), v.decode()) for k, v in scope["headers"]]
    status, body = await answer(scope["raw_path"].decode(), headers, size)
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


async def answer(path: str, headers: list[tuple[str, str]], size: int) -> tuple[int, bytes]:
    """Status, and what was asked as JSON."""
    asked = dict(headers)
    shadow = "x-archlab-shadow" in asked
    if shadow:
        with MIRRORED.open("a") as file:
            file.write(json.dumps({"path": path, "headers": asked, "size": size}) + "\n")
    status = int(asked.get("x-test-shadow-status" if shadow else "x-test-status", "200"))
    if asked.get("x-test-fail-on") == NAME:
        status = 503
    if path.endswith("/health/ready") and UNWELL.exists():
        status = 503
    if asked.get("x-test-hang-on") in {NAME, "all"} or (shadow and "x-test-shadow-hangs" in asked):
        await asyncio.Event().wait()
    if asked.get("x-test-slow"):
        await asyncio.sleep(float(asked["x-test-slow"]))
    return status, json.dumps(
        {"name": NAME, "path": path, "headers": headers, "size": size, "pid": os.getpid()}
    ).encode()


async def lifespan(receive: Receive, send: Send) -> None:
    """Serves gRPC as long as the application runs."""
    async with contextlib.AsyncExitStack() as stack:
        await receive()
        if GRPC:
            server = grpc.aio.server(options=[("grpc.max_receive_message_length", 8 << 20)])
            server.add_generic_rpc_handlers((Calls(),))
            server.add_insecure_port(GRPC)
            await server.start()
            stack.push_async_callback(server.stop, 5)
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


class Calls(grpc.GenericRpcHandler):
    """Answers every call; a status that isn't 200 is UNAVAILABLE."""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        async def call(message: bytes, context: Any) -> bytes:
            if details.method == "/grpc.health.v1.Health/Check":
                return b"\x08\x02" if UNWELL.exists() else b"\x08\x01"
            headers = [(str(key), str(value)) for key, value in context.invocation_metadata()]
            status, body = await answer(details.method, headers, len(message))
            if status != 200:
                await context.abort(grpc.StatusCode.UNAVAILABLE, f"told to by the test: {status}")
            return body

        return grpc.unary_unary_rpc_method_handler(call)
