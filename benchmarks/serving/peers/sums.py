"""One trivial application for every HTTP server, as ASGI and as RSGI: a JSON tensor in, the sum of each row out."""

from __future__ import annotations

from typing import Any

import orjson


def answer(body: bytes) -> bytes:
    """The response's body."""
    tensor = orjson.loads(body)["inputs"][0]
    rows, columns = tensor["shape"]
    data = tensor["data"]
    sums = [sum(data[start : start + columns]) for start in range(0, rows * columns, columns)]
    output = {"name": "prediction", "datatype": "FP32", "shape": [rows, 1], "data": sums}
    return orjson.dumps({"model_name": "sums", "outputs": [output]})


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """For uvicorn, hypercorn and granian."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    content = answer(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class Rsgi:
    """For granian's own interface."""

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answers one request."""
        protocol.response_bytes(200, [("content-type", "application/json")], answer(await protocol()))


rsgi = Rsgi()
