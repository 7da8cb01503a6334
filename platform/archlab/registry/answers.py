"""Answers of the gate in MLflow's error format, so that every MLflow client shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.types import Send

from archlab.errors import ArchlabError
from archlab.registry.demand import Demand
from archlab.spec.policy import Decision

ERROR_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    413: "INVALID_PARAMETER_VALUE",
    503: "TEMPORARILY_UNAVAILABLE",
}

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP response."""

    status: int
    headers: Headers
    body: bytes

    async def send(self, send: Send) -> None:
        """Give it to the server."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def error_answer(status: int, message: str) -> Answer:
    """An error as MLflow's REST API writes it."""
    content = {"error_code": ERROR_CODES.get(status, "INTERNAL_ERROR"), "message": message}
    body = json.dumps(content, ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return Answer(status, headers, body)


def answer_for(error: ArchlabError) -> Answer:
    """One of our errors as a response."""
    return error_answer(error.status, str(error))


def refusal(decisions: Iterable[tuple[Demand, Decision]]) -> Answer:
    """403 with every reason of every denial, each with its rule."""
    denials = [(demand, decision) for demand, decision in decisions if not decision.allow]
    lines = [f"{_what(denials[0][0])} was refused:"]
    for _, decision in denials:
        lines += [f"- {reason.rule}: {reason.message}" for reason in decision.reasons]
    decided = (f"Decided by {d.engine}, bundle {d.bundle_digest[:8] or 'none'}." for _, d in denials)
    return error_answer(403, "\n".join(dict.fromkeys([*lines, *decided])))


def _what(demand: Demand) -> str:
    resource = demand.resource
    name = f"{resource.name} version {resource.version}" if resource.version else resource.name
    if demand.is_promotion:
        return f"Promotion of {name} to {demand.action.partition('/')[2]}"
    return f"The change of {name} ({demand.action})"
