"""uvicorn's HTTP protocol, with a short way for inference that needs no waiting: `uvicorn --http MODULE:Protocol`.

Through ASGI a request becomes a scope, a cycle, a task and three messages before and after the model is asked. A
request that has arrived as a whole and that a short model answers needs none of them: it is answered where uvicorn's
parser reports its end, with the same code and the same bytes. Everything else takes uvicorn's own way, unchanged.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .app import App
from .rest import Response

MOST_BYTES = 32 << 10
"""Of a body that takes the short way; what a longer one needs is not the protocol's time, and it comes in parts."""
_MODELS, _INFER = b"/v2/models/", b"/infer"
_NAMED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/")
"""Bytes of a path that stand for themselves."""

Headers = list[tuple[bytes, bytes]]


class Protocol(HttpToolsProtocol):
    """One connection; the application is an `App`, and uvicorn's access log is off."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        loaded = self.config.loaded_app
        app = getattr(loaded, "app", loaded)  # behind uvicorn's own middleware for proxies' headers
        plain = not self.access_log and self.limit_concurrency is None and not self.root_path
        self._app = app if isinstance(app, App) and plain else None
        self._held: bytes | None = None
        """The body so far of a request that uvicorn hasn't been told of."""

    def data_received(self, data: bytes) -> None:
        """Takes what has come; a request that isn't whole by then goes uvicorn's way."""
        super().data_received(data)
        if self._held is not None and self.parser is not None and not self.transport.is_closing():
            self._let_go()

    def on_headers_complete(self) -> None:
        """Holds what may be answered at once."""
        if self._may_be_short():
            self._held = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keeps the body of a request that is held."""
        if self._held is None:
            super().on_body(body)
        elif self._held or len(body) > MOST_BYTES:
            self._held += body
            self._let_go()
        else:
            self._held = body

    def on_message_complete(self) -> None:
        """Answers a held request, or hands it over."""
        if self._held is not None:
            response = self._answer(self._held)
            if response is not None:
                self._held = None
                self._write(response)
                return
            self._let_go()
        super().on_message_complete()

    def _may_be_short(self) -> bool:
        app, parser, url = self._app, self.parser, self.url
        return (
            app is not None
            and app.endpoint is not None
            and url.startswith(_MODELS)
            and url.endswith(_INFER)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and (self.cycle is None or self.cycle.response_complete)
            and _NAMED.issuperset(url)
        )

    def _answer(self, body: bytes) -> Response | None:
        assert self._app is not None
        endpoint = self._app.endpoint
        if endpoint is None:
            return None
        model, named, version = self.url[len(_MODELS) : -len(_INFER)].decode().partition("/versions/")
        if "/" in model or "/" in version or (named and not version):
            return None
        return endpoint.at_once(dict(self.headers), body, model, version)

    def _let_go(self) -> None:
        """Tells uvicorn of the request, as if its head had just been read."""
        body, self._held = self._held, None
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def _write(self, response: Response) -> None:
        status, headers, body = response
        content = [STATUS_LINE[status], _lines(self.server_state.default_headers)]
        for name, value in headers:
            content += (name, b": ", value, b"\r\n")
        content += (b"content-length: %d\r\n\r\n" % len(body), body)
        self.transport.write(b"".join(content))
        self.on_response_complete()


class _Lines:
    """uvicorn's own headers, which change once a second."""

    def __init__(self) -> None:
        self._headers: Headers = []
        self._lines = b""

    def __call__(self, headers: Headers) -> bytes:
        if headers is not self._headers:
            self._headers = headers
            self._lines = b"".join(part for name, value in headers for part in (name, b": ", value, b"\r\n"))
        return self._lines


_lines = _Lines()
