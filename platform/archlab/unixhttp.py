"""HTTP over a unix socket with the standard library: parts of a lab ask each other now and then."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from archlab.errors import ArchlabError, UnavailableError
from archlab.identity import PLATFORM, mint
from archlab.settings import LabFolder


class UnixConnection(http.client.HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the socket; OSError when nobody listens."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> tuple[int, bytes]:
    """Status and body of one request; the connection is closed.

    Raises:
        OSError: nobody listens, or no answer in time.
        http.client.HTTPException: the answer is not HTTP.
    """
    try:
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def send(
    path: Path, method: str, target: str, headers: dict[str, str], *, body: bytes | None = None, timeout_s: float
) -> tuple[int, bytes]:
    """One request; status and body.

    Raises:
        UnavailableError: nothing answers at the socket in time.
    """
    try:
        return ask(UnixConnection(path, timeout_s), method, target, headers, body)
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{path.stem} does not answer: {error}.", "See: archlab status") from None


def get(path: Path, target: str, headers: dict[str, str], *, timeout_s: float) -> tuple[int, bytes]:
    """GET; status and body.

    Raises:
        UnavailableError: nothing answers at the socket in time.
    """
    return send(path, "GET", target, headers, timeout_s=timeout_s)


def control(folder: LabFolder, method: str, target: str, body: Any = None, *, timeout_s: float = 60.0) -> Any:
    """Ask a lab's control as the platform itself; the parsed answer.

    Raises:
        UnavailableError: control does not answer.
        ArchlabError: it answers with an error; its message and remedy.
    """
    headers = {"Authorization": f"Bearer {mint(folder, PLATFORM)}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    status, answer = send(folder.socket("control"), method, target, headers, body=data, timeout_s=timeout_s)
    parsed = json.loads(answer) if answer else None
    if status >= 400:
        said = parsed if isinstance(parsed, dict) else {}
        raise ArchlabError(str(said.get("error", f"control answers {status} to {target}")), str(said.get("remedy", "")))
    return parsed
