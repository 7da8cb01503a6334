"""HTTP with the standard library, mostly over unix sockets: parts of a lab ask each other now and then."""

from __future__ import annotations

import http.client
import json
from typing import Any

from archlab.addresses import Address, UnixConnection, part
from archlab.errors import ArchlabError, UnavailableError
from archlab.identity import PLATFORM, mint
from archlab.settings import LabFolder

__all__ = ["UnixConnection", "ask", "control", "get", "send"]


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
    where: Address, method: str, target: str, headers: dict[str, str], *, body: bytes | None = None, timeout_s: float
) -> tuple[int, bytes]:
    """One request; status and body.

    Raises:
        UnavailableError: nothing answers there in time.
    """
    try:
        return ask(where.connection(timeout_s), method, target, headers, body)
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{where.name} does not answer: {error}.", "See: archlab status") from None


def get(where: Address, target: str, headers: dict[str, str], *, timeout_s: float) -> tuple[int, bytes]:
    """GET; status and body.

    Raises:
        UnavailableError: nothing answers there in time.
    """
    return send(where, "GET", target, headers, timeout_s=timeout_s)


def control(folder: LabFolder, method: str, target: str, body: Any = None, *, timeout_s: float = 60.0) -> Any:
    """Ask a lab's control as the platform itself; the parsed answer.

    Raises:
        UnavailableError: control does not answer.
        ArchlabError: it answers with an error; its message and remedy.
    """
    headers = {"Authorization": f"Bearer {mint(folder, PLATFORM)}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    status, answer = send(part(folder, "control"), method, target, headers, body=data, timeout_s=timeout_s)
    parsed = json.loads(answer) if answer else None
    if status >= 400:
        said = parsed if isinstance(parsed, dict) else {}
        raise ArchlabError(str(said.get("error", f"control answers {status} to {target}")), str(said.get("remedy", "")))
    return parsed
