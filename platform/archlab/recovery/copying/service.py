"""Hands a region's files out: to the other region over the line, to this machine's command line over a unix socket.

| request | answer |
|---|---|
| `GET /listing/<part>?have=DIGEST&wait_s=S` | the part's files; 204 when nothing else was there in time |
| `GET /files/<path>` with `Range: bytes=A-B` | a piece of a file |
| `POST /copy/<part>`, unix socket only | takes now what the other region has; what is here then |
"""

from __future__ import annotations

import hmac
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from archlab.errors import ArchlabError, LabStateError, UserError
from archlab.recovery.copying.catalogue import Listing, below
from archlab.spec.regions import Part, PartCopy

HOST = "127.0.0.1"
LOOK_EVERY_S = 0.2
LONGEST_WAIT_S = 20.0
PIECE = 64 << 10
IDLE_S = 30.0
HandOut = Callable[[Part], Listing]
"""What of a part is handed out now; raises where nothing is."""


class Handler(BaseHTTPRequestHandler):
    """One connection; the server says whose."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    server: Service | LocalService

    def do_GET(self) -> None:
        """Listing or file."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """An order."""
        self._answer(self._post)

    def log_message(self, format: str, *arguments: Any) -> None:
        """No line per request."""

    def _answer(self, act: Callable[[str, str], None]) -> None:
        parts = urlsplit(self.path)
        try:
            if not self.server.lets_in(self.headers.get("Authorization", "")):
                self._send(HTTPStatus.UNAUTHORIZED)
            else:
                act(unquote(parts.path), parts.query)
        except LabStateError as error:
            self._send(HTTPStatus.CONFLICT, error.message.encode())
        except UserError as error:
            self._send(HTTPStatus.NOT_FOUND, error.message.encode())
        except ArchlabError as error:
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, error.message.encode())
        except OSError:
            self.close_connection = True

    def _get(self, path: str, query: str) -> None:
        kind, _, name = path.removeprefix("/").partition("/")
        if kind == "files":
            self._send_file(below(self.server.root, name))
        elif kind == "listing" and name in list(Part):
            self._send_listing(Part(name), {key: values[0] for key, values in parse_qs(query).items()})
        else:
            raise UserError(f"{path} is nothing that is handed out.")

    def _post(self, path: str, _query: str) -> None:
        kind, _, name = path.removeprefix("/").partition("/")
        if kind != "copy" or name not in list(Part) or self.server.copy is None:
            raise UserError(f"{path} is no order.")
        self._send(HTTPStatus.OK, self.server.copy(Part(name)).model_dump_json().encode())

    def _send_listing(self, part: Part, asked: dict[str, str]) -> None:
        deadline = time.monotonic() + min(float(asked.get("wait_s", "0")), LONGEST_WAIT_S)
        while True:
            found = self.server.hand_out(part)
            if found.digest != asked.get("have"):
                return self._send(HTTPStatus.OK, found.model_dump_json().encode())
            if time.monotonic() >= deadline:
                return self._send(HTTPStatus.NO_CONTENT)
            time.sleep(LOOK_EVERY_S)

    def _send_file(self, path: Path) -> None:
        if not path.is_file():
            raise UserError(f"{path.name} is not here.")
        first, last = _range(self.headers.get("Range", ""), path.stat().st_size)
        with path.open("rb") as file:
            file.seek(first)
            left = last - first + 1
            self.send_response(HTTPStatus.PARTIAL_CONTENT)
            self.send_header("Content-Length", str(left))
            self.end_headers()
            while left > 0 and (piece := file.read(min(PIECE, left))):
                self.wfile.write(piece)
                left -= len(piece)
        if left:
            self.close_connection = True  # it became shorter; whoever reads notices

    def _send(self, status: HTTPStatus, body: bytes = b"") -> None:
        self.send_response(status)
        if status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Service(ThreadingHTTPServer):
    """For the other region, which knows the password.

    Args:
        hand_out: what it may take of a part.
        root: the region's files.
        port: of the loopback interface; the other region reaches it over the line.
        password: file with it.
    """

    daemon_threads = True
    copy: Callable[[Part], PartCopy] | None = None

    def __init__(self, hand_out: HandOut, root: Path, port: int, password: Path) -> None:
        super().__init__((HOST, port), Handler)
        self.hand_out, self.root = hand_out, root
        self._expected = f"Bearer {password.read_text().strip()}"

    def lets_in(self, authorization: str) -> bool:
        """Whether a caller may ask."""
        return hmac.compare_digest(authorization, self._expected)


class LocalService(ThreadingHTTPServer):
    """For the command line of this machine: the socket lies in the lab's private folder.

    Args:
        hand_out: as for the other region.
        root: the region's files.
        path: of the socket.
        copy: takes a part from the other region now.
    """

    address_family = socket.AF_UNIX
    daemon_threads = True

    def __init__(self, hand_out: HandOut, root: Path, path: Path, copy: Callable[[Part], PartCopy]) -> None:
        path.unlink(missing_ok=True)
        self._path = str(path)
        super().__init__((HOST, 0), Handler)
        self.hand_out, self.root = hand_out, root
        self.copy: Callable[[Part], PartCopy] | None = copy

    def server_bind(self) -> None:
        """Bind to the path; names of hosts have no meaning there."""
        self.socket.bind(self._path)
        self.server_name, self.server_port = "localhost", 0

    def get_request(self) -> tuple[socket.socket, Any]:
        """A connection; its peer has no address."""
        taken, _ = self.socket.accept()
        return taken, ("localhost", 0)

    def lets_in(self, _authorization: str) -> bool:
        """Whoever reaches the socket."""
        return True


def serve(service: ThreadingHTTPServer) -> None:
    """In a thread of its own, to the process's end."""
    threading.Thread(target=service.serve_forever, daemon=True).start()


def _range(header: str, size: int) -> tuple[int, int]:
    first, dash, last = header.removeprefix("bytes=").partition("-")
    if not dash or not first.isdigit() or not last.isdigit() or int(last) >= size or int(first) > int(last):
        raise UserError(f"{header!r} is no piece of {size} bytes.")
    return int(first), int(last)
