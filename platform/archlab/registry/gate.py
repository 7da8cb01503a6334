"""The gate: an ASGI application around MLflow's own.

Who asks is known from the JWT alone; what is asked is read from the canonical path and the parsed body, and MLflow is
given exactly those, so that both read the same request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from archlab.errors import ArchlabError, UnavailableError, UserError
from archlab.identity import Verifier, bearer
from archlab.policy.answers import denial
from archlab.registry import demands as dm
from archlab.registry.answers import Answer, answer_for, error_answer, refusal
from archlab.registry.calls import HEALTH, READING_METHODS, SOURCE_REMOVALS, Call, Kind, classify
from archlab.registry.demands import Body, Demand, Demands
from archlab.registry.effects import Effects
from archlab.registry.lifecycle import action_of
from archlab.registry.recorder import NOTHING_ON_RECORD, DecisionRecorder, OnRecord
from archlab.spec.policy import Decision, PolicyEngine, Query, Reason, Subject

log = logging.getLogger("archlab.registry")

MAX_BODY_BYTES = 1 << 20
"""Of a call on registered models; artifacts are streamed and not limited here."""

SHOWN_PATH = 200
"""As much of a path as a line of the log shows."""

CLOCK_REFRESH_S = 5.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TooLargeError(UserError):
    """A body that no call on the registry needs."""

    status = 413


class Gate:
    """Lets a request through to MLflow, or answers it with 401 or 403."""

    def __init__(
        self,
        app: ASGIApp,
        verifier: Verifier,
        engine: PolicyEngine,
        recorder: DecisionRecorder,
        demands: Demands,
        effects: Effects,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._engine = engine
        self._recorder = recorder
        self._demands = demands
        self._effects = effects
        self._changing = asyncio.Lock()
        self._business_time = EPOCH
        self._clock_due = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            call = classify(scope["method"], scope["path"])
            subject = None if _is_open(call) else self._verifier.subject(bearer(_headers(scope)))
            plain = {**scope, "path": call.path, "raw_path": call.path.encode()}
            if subject is None or call.kind is Kind.READ:
                await self._app(plain, receive, send)
            elif call.kind in (Kind.TRACKING_WRITE, Kind.OTHER):
                if refused := await self._refuses(subject, [dm.tracking(call, subject)]):
                    await refused.send(send)
                else:
                    await self._app(plain, receive, send)
            else:
                async with self._changing:
                    body = await _body(receive)
                    removes = call.kind in SOURCE_REMOVALS
                    answer = await (
                        self._removal(plain, call, subject, body)
                        if removes
                        else self._change(plain, call.kind, subject, body)
                    )
                await answer.send(send)
        except ArchlabError as error:
            log.warning("refused %s %r: %s", scope["method"], scope["path"][:SHOWN_PATH], error.message)
            await answer_for(error).send(send)

    async def _change(self, scope: Scope, kind: Kind, subject: Subject, body: Body) -> Answer:
        """A call on registered models: decided, recorded, carried out, followed up."""
        try:
            now = await self._now(fresh=dm.needs_time(kind, body))
            on_record = await self._on_record(kind, body) if dm.asks_log(kind, body) else NOTHING_ON_RECORD
        except UnavailableError as error:
            return error_answer(403, f"The change was refused: {error} It depends on control's clock and log.")
        needed = await asyncio.to_thread(self._demands.of, kind, body, subject, now, on_record)
        if refused := await self._refuses(subject, list(needed)):
            return refused
        body = self._effects.before(kind, body, subject)
        answer = await self._ask(scope, body)
        if answer.status == 200:
            await asyncio.to_thread(self._effects.after, kind, body, subject, answer.body, now)
            if kind in Effects.MOVES_RELEASES or action_of(kind, body):
                self._effects.tell(self._recorder)
        return answer

    async def _on_record(self, kind: Kind, body: Body) -> OnRecord:
        """What control knows of the model that a call is about.

        Raises:
            UnavailableError: control does not answer.
        """
        name, recorder = dm.text(body, "name"), self._recorder
        exceptions, standings = await recorder.exceptions(name), await recorder.standings(name)
        if dm.promoted_to(kind, body) != dm.CHAMPION:
            return OnRecord(exceptions, standings)
        cost = await recorder.cost(await asyncio.to_thread(self._demands.owner, name))
        return OnRecord(exceptions, standings, cost)

    async def _removal(self, scope: Scope, call: Call, subject: Subject, body: Body) -> Answer:
        """Taking away what a registered version may come from: decided, then carried out."""
        needed = await asyncio.to_thread(self._demands.of_source, call, body, subject)
        return await self._refuses(subject, list(needed)) or await self._ask(scope, body)

    async def _refuses(self, subject: Subject, needed: list[Demand]) -> Answer | None:
        """403 when one of the decisions is no, or could not be recorded; None when all allow."""
        now = self._business_time if any(d.is_dated for d in needed) else await self._now(fresh=False)
        decisions: list[tuple[Demand, Decision]] = []
        for demand in needed:
            query = Query(
                subject=subject, action=demand.action, resource=demand.resource, evidence=demand.evidence, time=now
            )
            decision = await asyncio.to_thread(self._decide, query)
            if demand.is_recorded or not decision.allow:
                decision = await self._recorded(query, decision)
            decisions.append((demand, decision))
        return None if all(decision.allow for _, decision in decisions) else refusal(decisions)

    def _decide(self, query: Query) -> Decision:
        try:
            return self._engine.decide(query)
        except Exception as error:
            log.exception("the policy engine failed")
            return denial("engine_failed", f"The policy engine failed: {error}", engine="none", bundle_digest="")

    async def _recorded(self, query: Query, decision: Decision) -> Decision:
        """The decision once control has it; a denial when control could not take it."""
        try:
            await self._recorder.record(query, decision)
        except UnavailableError as error:
            log.warning("a decision on %s was not recorded: %s", query.resource.name, error)
            reason = Reason(rule="archlab/log", code="not_recorded", message=f"{error} Nothing changes unrecorded.")
            return decision.model_copy(update={"allow": False, "reasons": (*decision.reasons, reason)})
        return decision

    async def _now(self, *, fresh: bool) -> datetime:
        """Business time; a recent one, or the last known, will do for access decisions, which don't depend on it."""
        if fresh or time.monotonic() >= self._clock_due:
            try:
                self._business_time = await self._recorder.business_time()
                self._clock_due = time.monotonic() + CLOCK_REFRESH_S
            except UnavailableError:
                if fresh:
                    raise
        return self._business_time

    async def _ask(self, scope: Scope, body: Body) -> Answer:
        """MLflow's whole answer to a request with this body."""
        content = json.dumps(body).encode()
        sent: list[Message] = []
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                await asyncio.Event().wait()
            given = True
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app({**scope, "headers": _replaced(scope, len(content))}, receive, send)
        start = next(message for message in sent if message["type"] == "http.response.start")
        chunks = (message.get("body", b"") for message in sent if message["type"] == "http.response.body")
        return Answer(start["status"], list(start["headers"]), b"".join(chunks))


def _is_open(call: Call) -> bool:
    return call.path == HEALTH and call.method in READING_METHODS


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _replaced(scope: Scope, length: int) -> list[tuple[bytes, bytes]]:
    """The request's headers for a body that we wrote."""
    ours = {b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"}
    kept = [(name, value) for name, value in scope["headers"] if name.lower() not in ours]
    return [*kept, (b"content-type", b"application/json"), (b"content-length", str(length).encode())]


async def _body(receive: Receive) -> Body:
    """The request's JSON object, read as MLflow reads it (older clients send it as JSON in a JSON string).

    Raises:
        UserError: it is too large or no object.
    """
    content = bytearray()
    while True:
        message = await receive()
        content += message.get("body", b"")
        if len(content) > MAX_BODY_BYTES:
            raise TooLargeError(f"The body is larger than {MAX_BODY_BYTES} bytes.")
        if not message.get("more_body", False):
            break
    try:
        found: Any = json.loads(bytes(content) or b"{}")
        found = json.loads(found) if isinstance(found, str) else found
    except ValueError:
        raise UserError("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise UserError("The body is not a JSON object.")
    return found
