"""Answers of a lab become results and errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from archlab.errors import ConflictError, LabStateError, NotFoundError, RefusedError, UnavailableError
from archlab.lab.client import GatewayClient


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = int(self.path.strip("/"))
        body = json.dumps(
            {"error": f"status {status}", "remedy": "do that", "auth": self.headers["Authorization"]}
        ).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_token_goes_along(base: str) -> None:
    assert GatewayClient(base, lambda: "abc", "lab").get("/200")["auth"] == "Bearer abc"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, RefusedError), (404, NotFoundError), (409, ConflictError), (503, UnavailableError)],
)
def test_a_status_becomes_an_error_with_its_remedy(base: str, status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=f"status {status} do that"):
        GatewayClient(base, lambda: "abc", "lab").get(f"/{status}")


def test_nobody_there_says_how_to_start_it() -> None:
    with pytest.raises(LabStateError, match="archlab up --lab mine"):
        GatewayClient("http://127.0.0.1:9", lambda: "abc", "mine").get("/")
