"""A small real server that says what reached it; run by uvicorn on a unix socket."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

NAME = os.environ.get("UPSTREAM_NAME", "")
UNWELL = Path(os.environ.get("UPSTREAM_UNWELL", "/nonexistent"))
"""While this file exists, the server says that it is not ready."""
MIRRORED = Path(os.environ.get("UPSTREAM_MIRRORED", "/nonexistent"))
"""Gets a line for each mirrored request: nobody sees their answers."""


async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = bool(message.get("more_body"))
    headers = [(k.decode(), v.decode()) for k, v in scope["headers"]]
    asked = dict(headers)
    path = scope["raw_path"].decode()
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
    body = json.dumps({"name": NAME, "path": path, "headers": headers, "size": size, "pid": os.getpid()}).encode()
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})
