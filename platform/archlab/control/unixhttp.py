"""HTTP over a unix socket with the standard library: control asks the registry and the replicas now and then."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

from archlab.errors import UnavailableError


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def get(path: Path, target: str, headers: dict[str, str], *, timeout_s: float) -> tuple[int, bytes]:
    """GET; status and body.

    Raises:
        UnavailableError: nothing answers at the socket in time.
    """
    connection = _Connection(path, timeout_s)
    try:
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{path.stem} does not answer: {error}.", "See: archlab status") from None
    finally:
        connection.close()
