"""The short way of uvicorn's HTTP protocol: taken where it can be, and never told from the long one."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer
from uvicorn import Config
from uvicorn.server import ServerState

from archlab_serving.app import App
from archlab_serving.http_protocol import MOST_BYTES, Protocol

INFER = "/v2/models/delay/infer"
TENSOR = {"name": "features", "datatype": "FP32", "shape": [1, 5], "data": [0, 0, 0, 0, 1]}
BODY = orjson.dumps({"id": "an-id", "inputs": [TENSOR]})
LARGE = orjson.dumps({"id": "an-id", "inputs": [{**TENSOR, "shape": [4000, 5], "data": [0, 0, 0, 0, 1] * 4000}]})


def request(*headers: str, path: str = INFER, body: bytes = BODY, first: str = "POST {} HTTP/1.1") -> bytes:
    lines = [first.format(path), "host: x", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


CHUNKED = (
    f"POST {INFER} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{len(BODY):x}\r\n".encode()
    + BODY
    + b"\r\n0\r\n\r\n"
)
CASES: dict[str, tuple[bytes, ...]] = {
    "plain": (request(),),
    "named version": (request(path="/v2/models/delay/versions/1/infer"),),
    "unknown version": (request(path="/v2/models/delay/versions/9/infer"),),
    "no version": (request(path="/v2/models/delay/versions//infer"),),
    "version with a slash": (request(path="/v2/models/delay/versions/1/2/infer"),),
    "no model": (request(path="/v2/models//infer"),),
    "model with a slash": (request(path="/v2/models/de/lay/infer"),),
    "escaped model": (request(path="/v2/models/del%61y/infer"),),
    "unknown model": (request(path="/v2/models/nobody/infer"),),
    "query": (request(path=f"{INFER}?x=1"),),
    "method": (request(first="PUT {} HTTP/1.1"),),
    "old protocol": (request(first="POST {} HTTP/1.0"),),
    "close": (request("connection: close"),),
    "upgrade": (request("connection: upgrade", "upgrade: h2c"),),
    "no JSON": (request(body=b"{"),),
    "empty": (request(body=b""),),
    "wrong shape": (request(body=BODY.replace(b"[1,5]", b"[1,4]")),),
    "large": (request(body=LARGE),),
    "large, packed": (request("accept-encoding: gzip", body=LARGE),),
    "chunked": (CHUNKED,),
    "head first": (request()[: -len(BODY)], BODY),
    "in three parts": (request()[:40], request()[40:-20], request()[-20:]),
    "versions of the gateway": (request("x-archlab-version: 1", "x-request-id: r-1"),),
    "feed that isn't there yet": (request("x-archlab-min-feed: 999"),),
    "time is up": (request("x-envoy-expected-rq-timeout-ms: 0"),),
    "pipelined": (request() + request(path="/v2/health/ready", body=b"", first="GET {} HTTP/1.1") + request(),),
    "pipelined long and short": (CHUNKED + request() + request(body=b"{"),),
}
COUNTS = {"pipelined": 3, "pipelined long and short": 3}


@pytest.fixture(scope="module")
def servers(shared_lab: Lab, shared_launch: Launcher) -> tuple[RunningServer, RunningServer]:
    """With the short way and without."""
    shared_lab.publish(shared_lab.onnx())
    short, long = (shared_launch.start(port=True, http=http) for http in ("", "httptools"))
    return short, long


def answers(server: RunningServer, parts: tuple[bytes, ...], count: int) -> list[bytes]:
    """As many responses as bytes, without what differs from one moment to the next."""
    host, _, port = server.address.partition(":")
    read: bytes = b""
    found: list[bytes] = []
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        while len(found) < count:
            more = connection.recv(1 << 16)
            read += more
            while b"\r\n\r\n" in read:
                head, _, rest = read.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                size = int(length[1]) if length else 0
                if len(rest) < size:
                    break
                found.append(re.sub(rb"date: [^\r]*\r\n", b"", head) + b"\r\n\r\n" + rest[:size])
                read = rest[size:]
            assert more or len(found) == count, read
    return found


@pytest.mark.parametrize("case", CASES)
def test_both_ways_answer_the_same_bytes(servers: tuple[RunningServer, RunningServer], case: str) -> None:
    short, long = (answers(server, CASES[case], COUNTS.get(case, 1)) for server in servers)
    assert short == long


def test_both_ways_are_counted_alike(servers: tuple[RunningServer, RunningServer]) -> None:
    names = ("archlab_inference_requests_total", "archlab_inference_rows_total", "archlab_inference_in_flight")
    counted = []
    for server in servers:
        for case, parts in CASES.items():
            answers(server, parts, COUNTS.get(case, 1))
        lines = server.client.get("/metrics").text.splitlines()
        counted.append(sorted(line for line in lines if line.startswith(names)))
    assert counted[0] == counted[1]
    assert counted[0]


class Told:
    """An endpoint that answers at once, or has to wait."""

    def __init__(self, *, waits: bool) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self._waits = waits

    def at_once(self, headers: dict[bytes, bytes], body: bytes, model: str, version: str) -> Any:
        assert headers[b"host"] == b"x"
        self.asked.append((model, version, body))
        return None if self._waits else (200, [(b"x-short", b"yes")], b"{}")


class Short(App):
    """The application with an endpoint of the test's; asked the long way it says so."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self.told = told
        self.long: list[str] = []

    @property
    def endpoint(self) -> Any:
        return self.told

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.long.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False

    def get_protocol(self) -> Any:
        return None

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...


def connect(app: App) -> Iterator[Any]:
    config = Config(app, http=Protocol, ws="none", access_log=False, log_level="error")
    config.load()
    protocol = Protocol(config=config, server_state=ServerState(), app_state={}, _loop=asyncio.get_running_loop())
    protocol.connection_made(wire := Wire())
    yield protocol, wire
    protocol.connection_lost(None)


@pytest.mark.parametrize("parts", [(request(),), (request(path="/v2/models/delay/versions/7/infer"),)])
def test_what_is_whole_is_answered_where_it_arrives(parts: tuple[bytes, ...]) -> None:
    async def scenario() -> None:
        app = Short(Told(waits=False))
        for protocol, wire in connect(app):
            protocol.data_received(parts[0])
            assert wire.written.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"x-short: yes\r\ncontent-length: 2\r\n\r\n{}" in wire.written
            assert protocol.tasks == set()
            assert protocol.server_state.total_requests == 1
        assert app.long == []
        assert [body for _, _, body in app.told.asked] == [BODY]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        (request(), 1),
        (request()[:-1], 0),
        (request(body=b" " * (MOST_BYTES + 1)), 0),
        (request(path="/v2/models/delay/ready", body=b"", first="GET {} HTTP/1.1"), 0),
        (request("expect: 100-continue"), 0),
    ],
    ids=["has to wait", "not whole", "too long", "another path", "waits for a go"],
)
def test_everything_else_goes_the_long_way(data: bytes, asked: int) -> None:
    async def scenario() -> None:
        app = Short(Told(waits=True))
        for protocol, wire in connect(app):
            protocol.data_received(data)
            assert wire.written == b""
            await asyncio.gather(*protocol.tasks)
            assert b" 204 " in wire.written
        assert len(app.long) == 1
        assert len(app.told.asked) == asked

    asyncio.run(scenario())
