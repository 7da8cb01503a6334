"""The node's label and annotation against an HTTP server that answers as the API server does."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from archlab_device_plugin import health
from archlab_device_plugin.kubelet import Kubelet
from archlab_device_plugin.manager import Manager
from archlab_device_plugin.node import ApiError, Node


class ApiServer(ThreadingHTTPServer):
    """Keeps what it was asked; a watch sends the prepared events and ends."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str, Any]] = []
        self.status = 200
        self.watches: list[list[dict[str, Any]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, self.headers["Authorization"], body))
        self._answer(b"{}")

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers["Authorization"], None))
        events = self.server.watches.pop(0) if self.server.watches else []
        self._answer(b"".join(json.dumps(event).encode() + b"\n" for event in events))

    def _answer(self, body: bytes) -> None:
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[ApiServer]:
    server = ApiServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def node(api: ApiServer) -> Node:
    host, port = "127.0.0.1", api.server_address[1]
    return Node("node-1", lambda timeout: http.client.HTTPConnection(host, port, timeout=timeout), lambda: "secret")


def event(kind: str, **annotations: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"annotations": annotations}}}


def test_the_label_is_patched(api: ApiServer, node: Node) -> None:
    node.label("emulated")
    node.label(None)
    assert [(path, token) for path, token, _ in api.seen] == [("/api/v1/nodes/node-1", "Bearer secret")] * 2
    values = [body["metadata"]["labels"]["archlab.dev/device-basis"] for _, _, body in api.seen]
    assert values == ["emulated", None]


def test_a_refusal_is_an_error(api: ApiServer, node: Node) -> None:
    api.status = 403
    with pytest.raises(ApiError, match="403"):
        node.label("emulated")


def test_an_api_server_that_is_away_is_an_error() -> None:
    node = Node("node-1", lambda timeout: http.client.HTTPConnection("127.0.0.1", 1, timeout=timeout), lambda: "")
    with pytest.raises(ApiError, match="does not answer"):
        node.label("emulated")


def test_the_annotation_is_followed_across_watches(api: ApiServer, node: Node) -> None:
    marked = {"archlab.dev/unhealthy-devices": "l4-0"}
    gone = {"type": "ERROR", "object": {"message": "too old resource version"}}
    api.watches = [[event("ADDED"), event("MODIFIED", **marked)], [gone], [event("ADDED", **marked)], [event("ADDED")]]
    found: list[str] = []
    stopping = threading.Event()

    def note(value: str) -> None:
        found.append(value)
        if len(found) == 4:
            stopping.set()

    follower = threading.Thread(target=node.follow, args=(note, stopping), kwargs={"again_s": 0.01})
    follower.start()
    follower.join(60)
    assert found == ["", "l4-0", "l4-0", ""]
    assert "fieldSelector=metadata.name%3Dnode-1" in api.seen[0][0]


def test_probes_are_answered(node: Node, tmp_path: Path) -> None:
    server = health.serve(Manager([], node, "node-1", Kubelet(tmp_path)), "127.0.0.1", 0)
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
    for path, status in (("/livez", 200), ("/readyz", 200), ("/other", 404)):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (status, {"resources": {}})
    connection.close()
    server.shutdown()
    server.server_close()
