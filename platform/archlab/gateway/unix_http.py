"""HTTP over a unix socket, with the standard library only: cheap enough to ask ten replicas twenty times a second."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path


class UnixConnection(http.client.HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the socket; OSError when nobody listens."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(connection: http.client.HTTPConnection, method: str, path: str) -> tuple[int, bytes]:
    """Status and body of one request; the connection is closed.

    Raises:
        OSError: nobody listens, or no answer in time.
        http.client.HTTPException: the answer is not HTTP.
    """
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
