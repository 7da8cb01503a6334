"""Where HTTP meets the rest: identity, roles, bodies, errors."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from archlab.control.seen import Seen
from archlab.control.service import Service
from archlab.errors import ArchlabError, RefusedError, UserError
from archlab.identity import bearer
from archlab.plan.access import Access

T = TypeVar("T")
Handler = Callable[["Call"], Any]
Endpoint = Callable[[Request], Awaitable[Response]]
ANY = ""
_log = logging.getLogger(__name__)


class Call:
    """One authenticated request, with its body read."""

    def __init__(self, service: Service, request: Request, content: bytes) -> None:
        self.service = service
        self.query = request.query_params
        self.path = request.path_params
        self.token = ""
        self.user = ""
        self._seen: Seen | None = None
        self._headers = {k.lower(): v for k, v in request.headers.items()}
        self._content = content

    @property
    def content(self) -> bytes:
        """The body as it came."""
        return self._content

    def authorise(self, role: str) -> None:
        """Check the token and its role.

        Raises:
            TokenError: no token, or not a valid one.
            RefusedError: the role is missing.
        """
        self.token = bearer(self._headers)
        self._seen = Seen(subject := self.service.verifier.subject(self.token), self._access)
        self.user = subject.user
        if role and role not in subject.roles:
            raise RefusedError(
                f"{subject.user} lacks the role {role}.", f"Ask somebody who has it; roles: {_names(subject.roles)}."
            )

    @property
    def seen(self) -> Seen:
        """What the asker is shown.

        Raises:
            RefusedError: the call is one that needs no token.
        """
        if self._seen is None:
            raise RefusedError("Nobody asks.")
        return self._seen

    def _access(self) -> Access:
        return Access.of(self.service.scenario)

    def body(self, kind: type[T]) -> T:
        """The JSON body as a type.

        Raises:
            UserError: it is something else; the message names the field.
        """
        try:
            return TypeAdapter(kind).validate_json(self._content)
        except ValidationError as error:
            raise UserError(f"The body can't be read: {_first(error)}.", "See docs/interfaces.md, Control.") from None

    def json_object(self) -> dict[str, Any]:
        """The JSON body as an object; empty when there is none."""
        return self.body(dict[str, Any]) if self._content.strip() else {}

    def parameter(self, name: str, kind: type[T]) -> T | None:
        """A query parameter as a type, None when it is not given."""
        if not (text := self.query.get(name)):
            return None
        try:
            # a plus sign in an address stands for a blank
            return TypeAdapter(kind).validate_strings(text.replace(" ", "+"))
        except ValidationError as error:
            raise UserError(f"{name}={text} can't be read: {_first(error)}.") from None


def endpoint(handler: Handler, role: str | None) -> Endpoint:
    """An HTTP endpoint around a handler that runs in a thread; role None needs no token."""

    async def answer(request: Request) -> Response:
        call = Call(request.app.state.service, request, await request.body())

        def work() -> Response:
            if role is not None:
                call.authorise(role)
            return respond(handler(call))

        return await run_in_threadpool(work)

    return answer


def respond(value: Any, status: int = 200) -> Response:
    """Anything as JSON; a Response stays what it is."""
    if isinstance(value, Response):
        return value
    content = value.model_dump_json() if isinstance(value, BaseModel) else to_json(value)
    return Response(content, status, media_type="application/json")


def on_error(_request: Request, error: Exception) -> Response:
    """Our errors as documented; anything else as 500 without its insides."""
    if isinstance(error, ArchlabError):
        return respond({"error": error.message, "remedy": error.remedy}, error.status)
    if isinstance(error, HTTPException):
        return respond({"error": error.detail, "remedy": "See docs/interfaces.md, Control."}, error.status_code)
    _log.error("unhandled error", exc_info=error)
    return respond({"error": f"{type(error).__name__} in control.", "remedy": "See: archlab logs control"}, 500)


def _names(roles: tuple[str, ...]) -> str:
    return ", ".join(roles) or "none"


def _first(error: ValidationError) -> str:
    fault = json.loads(error.json(include_url=False, include_context=False))[0]
    where = ".".join(str(step) for step in fault["loc"])
    return f"{where}: {fault['msg']}" if where else str(fault["msg"])
