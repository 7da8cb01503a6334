"""Calls to a lab through its front door, as one of its users."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from typing import Any

from archlab.errors import (
    ArchlabError,
    ConflictError,
    LabStateError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    UserError,
)

_BY_STATUS: dict[int, type[ArchlabError]] = {
    403: RefusedError,
    404: NotFoundError,
    409: ConflictError,
    429: UnavailableError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


class GatewayClient:
    """JSON over HTTP with a bearer token.

    Args:
        base: URL that paths are appended to.
        token: called for each request; tokens are short-lived.
        lab: name of the lab, for messages.
    """

    def __init__(self, base: str, token: Callable[[], str], lab: str) -> None:
        self._base = base
        self._token = token
        self._lab = lab

    def get(self, path: str, *, timeout_s: float = 60.0) -> Any:
        """GET; the parsed body."""
        return self.request("GET", path, timeout_s=timeout_s)

    def post(self, path: str, body: Any = None, *, timeout_s: float = 120.0) -> Any:
        """POST a JSON body; the parsed answer."""
        return self.request("POST", path, body, timeout_s=timeout_s)

    def delete(self, path: str) -> Any:
        """DELETE; the parsed answer."""
        return self.request("DELETE", path)

    def text(self, path: str) -> str:
        """GET; the body as text."""
        return self._send("GET", path, None, 60.0).decode()

    def request(self, method: str, path: str, body: Any = None, *, timeout_s: float = 60.0) -> Any:
        """One call.

        Raises:
            LabStateError: nothing listens there.
            UserError, UnavailableError: as the answer says.
        """
        data = self._send(method, path, None if body is None else json.dumps(body).encode(), timeout_s)
        return json.loads(data) if data else None

    def _send(self, method: str, path: str, data: bytes | None, timeout_s: float) -> bytes:
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data=data, headers=headers, method=method)  # noqa: S310
        try:
            response: HTTPResponse
            with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310
                return response.read()
        except urllib.error.HTTPError as error:
            raise _error(error.code, error.read(), method, path) from None
        except (urllib.error.URLError, HTTPException, ConnectionError) as error:
            raise LabStateError(
                f"Lab {self._lab} does not answer at {self._base} ({getattr(error, 'reason', error)}).",
                f"Start it with: archlab up --lab {self._lab}",
            ) from None
        except TimeoutError:
            raise UnavailableError(
                f"{method} {path} had no answer within {timeout_s:.0f} s.", "See: archlab status"
            ) from None


def _error(status: int, body: bytes, method: str, path: str) -> ArchlabError:
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = {}
    message = parsed.get("error") or parsed.get("message") or body.decode(errors="replace")[:300]
    kind = _BY_STATUS.get(status, UserError if status < 500 else ArchlabError)
    return kind(message or f"{method} {path}: HTTP {status}", parsed.get("remedy", ""))
