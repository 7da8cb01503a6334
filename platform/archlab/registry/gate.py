"""The gate: an ASGI application around MLflow's own.

Who asks is known from the JWT alone; what is asked is read from the canonical path and the parsed body, and MLflow is
given exactly those, so that both read the same request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from archlab.errors import ArchlabError, UnavailableError, UserError
from archlab.identity import Verifier, bearer
from archlab.plan.access import sees_all, writes_anywhere
from archlab.policy.answers import denial
from archlab.registry import demand as dm
from archlab.registry.answers import Answer, answer_for, error_answer, refusal
from archlab.registry.calls import (
    HEALTH,
    READING_METHODS,
    SOURCE_REMOVALS,
    TRACKING_WRITES,
    Call,
    Kind,
    classify,
    with_page,
)
from archlab.registry.demand import Body, Demand
from archlab.registry.demands import Demands
from archlab.registry.effects import Effects
from archlab.registry.lifecycle import action_of
from archlab.registry.ownership import Ownership
from archlab.registry.recorder import NOTHING_ON_RECORD, DecisionRecorder, OnRecord
from archlab.registry.things import Listing, Thing, What, is_open, is_streamed, listing, things, values
from archlab.registry.tracking import TrackingDemands, anywhere
from archlab.spec.policy import Decision, PolicyEngine, Query, Reason, Subject

log = logging.getLogger("archlab.registry")

MAX_BODY_BYTES = 1 << 20
"""Of a call that the gate has to read; artifacts are streamed and not limited here."""

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
        ownership: Ownership,
        tracking: TrackingDemands,
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._engine = engine
        self._recorder = recorder
        self._demands = demands
        self._effects = effects
        self._ownership = ownership
        self._tracking = tracking
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
            if subject is None or (call.kind is Kind.READ and (sees_all(subject) or is_open(call))):
                await self._app(plain, receive, send)
            elif call.kind is Kind.READ:
                await self._read(plain, call, subject, receive, send)
            elif call.kind in TRACKING_WRITES or call.kind is Kind.OTHER:
                await self._track(plain, call, subject, receive, send)
            else:
                body = await _body(receive)  # first: who sends it slowly keeps nobody else waiting
                async with self._changing:
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

    async def _read(self, scope: Scope, call: Call, subject: Subject, receive: Receive, send: Send) -> None:
        """What a member of a team reads: only the team's own, and what another team granted."""
        body = await _body(receive)
        if call.method in READING_METHODS and body:
            raise UserError("A request that only reads has no body.")
        if call.method in ("GET", "POST") and (which := listing(call)):
            await (await self._list(scope, call, subject, which, body)).send(send)
            return
        said = values(scope["query_string"].decode("latin-1"), body)
        verdict = await asyncio.to_thread(self._ownership.read, subject, things(call, said))
        if verdict.allow:
            content = json.dumps(body).encode() if body else b""
            await self._app({**scope, "headers": _replaced(scope, len(content))}, _said(content), send)
        else:
            log.warning("refused %s %r to %s: %s", call.method, call.path[:SHOWN_PATH], subject.user, verdict.why)
            await error_answer(403, f"{verdict.why}.").send(send)

    async def _list(self, scope: Scope, call: Call, subject: Subject, which: Listing, body: Body) -> Answer:
        """The first page that has something of the team's, as MLflow answers but for what is another's."""
        while True:
            answer = await self._ask(scope, body)
            if answer.status != HTTPStatus.OK:
                return answer
            content, enough, token = await asyncio.to_thread(self._ownership.shown, subject, which, answer.body)
            if enough or not token:
                headers = [(n, v) for n, v in answer.headers if n.lower() != b"content-length"]
                return Answer(answer.status, [*headers, (b"content-length", str(len(content)).encode())], content)
            if call.method in READING_METHODS:
                scope = {**scope, "query_string": with_page(scope["query_string"], token)}
            else:
                body = {**body, "page_token": token}

    async def _track(self, scope: Scope, call: Call, subject: Subject, receive: Receive, send: Send) -> None:
        """A write to experiments, runs and artifacts: decided, then carried out."""
        creates = call.kind in (Kind.CREATE_EXPERIMENT, Kind.TAG_EXPERIMENT)
        passed = is_streamed(call) or call.kind is Kind.OTHER or (writes_anywhere(subject) and not creates)
        body = {} if passed else await _body(receive)
        if writes_anywhere(subject) and not creates:
            needed: tuple[Demand, ...] = (anywhere(call, subject),)
        else:
            said = values(scope["query_string"].decode("latin-1"), body)
            needed = await asyncio.to_thread(self._tracking.of_tracking, call, said, body, subject)
        if refused := await self._refuses(subject, needed, await self._now(fresh=False)):
            await refused.send(send)
        elif passed:
            await self._app(scope, receive, send)
        else:
            await (await self._ask(scope, self._effects.before(call.kind, body, subject))).send(send)

    async def _change(self, scope: Scope, kind: Kind, subject: Subject, body: Body) -> Answer:
        """A call on registered models: decided, recorded, carried out, followed up."""
        try:
            now = await self._now(fresh=dm.needs_time(kind, body))
            on_record = await self._on_record(kind, body) if dm.asks_log(kind, body) else NOTHING_ON_RECORD
        except UnavailableError as error:
            return error_answer(403, f"The change was refused: {error} It depends on control's clock and log.")
        needed = await asyncio.to_thread(self._demands.of, kind, body, subject, now, on_record)
        if refused := await self._refuses(subject, needed, now):
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
        exceptions, standings, traffic, cost = await asyncio.gather(
            recorder.exceptions(name), recorder.standings(name), recorder.traffic(name), self._cost(kind, body, name)
        )
        return OnRecord(exceptions, standings, cost, traffic)

    async def _cost(self, kind: Kind, body: Body, name: str) -> dict[str, Any] | None:
        if not dm.asks_cost(kind, body):
            return None
        owner = await asyncio.to_thread(self._ownership.owner, Thing(What.MODEL, name))
        return await self._recorder.cost(owner or "")

    async def _removal(self, scope: Scope, call: Call, subject: Subject, body: Body) -> Answer:
        """Taking away what a registered version may come from: decided, then carried out."""
        said = values(scope["query_string"].decode("latin-1"), body)
        needed = await asyncio.to_thread(self._tracking.of_source, call, said, body, subject)
        now = await self._now(fresh=False)
        return await self._refuses(subject, needed, now) or await self._ask(scope, body)

    async def _refuses(self, subject: Subject, needed: Sequence[Demand], now: datetime) -> Answer | None:
        """403 when one of the decisions is no, or could not be recorded; None when all allow.

        What one decision allows and another refuses does not happen, so it is not put on record as allowed: what is
        served, retired and deleted is read from the log.

        `now` is the business time that the evidence was put together at.
        """
        asked = await asyncio.to_thread(lambda: [(one, *self._asked(subject, one, now)) for one in needed])
        agreed = all(decision.allow for _, _, decision in asked)
        decisions: list[tuple[Demand, Decision]] = []
        for demand, query, decision in asked:
            kept = demand.is_recorded if agreed else not decision.allow
            decisions.append((demand, await self._recorded(query, decision) if kept else decision))
        return None if all(decision.allow for _, decision in decisions) else refusal(decisions)

    def _asked(self, subject: Subject, demand: Demand, now: datetime) -> tuple[Query, Decision]:
        query = Query(
            subject=subject, action=demand.action, resource=demand.resource, evidence=demand.evidence, time=now
        )
        query = self._with_verdicts(query, demand) if demand.verdicts else query
        return query, self._decide(query)

    def _decide(self, query: Query) -> Decision:
        try:
            return self._engine.decide(query)
        except Exception as error:
            log.exception("the policy engine failed")
            return denial("engine_failed", f"The policy engine failed: {error}", engine="none", bundle_digest="")

    def _with_verdicts(self, query: Query, demand: Demand) -> Query:
        """The query with what other actions would be answered on the same evidence: learners' own rules included."""
        shown = {"allow", "reasons", "exceptions"}
        found = {
            name: self._decide(query.model_copy(update={"action": action})).model_dump(mode="json", include=shown)
            for name, action in demand.verdicts.items()
        }
        return query.model_copy(update={"evidence": {**query.evidence, **found}})

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

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app({**scope, "headers": _replaced(scope, len(content))}, _said(content), send)
        start = next(message for message in sent if message["type"] == "http.response.start")
        chunks = (message.get("body", b"") for message in sent if message["type"] == "http.response.body")
        return Answer(start["status"], list(start["headers"]), b"".join(chunks))


def _said(content: bytes) -> Receive:
    """What an application receives of a request with this body."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    return receive


def _is_open(call: Call) -> bool:
    """Whether it needs no token."""
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
    except (ValueError, RecursionError):
        raise UserError("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise UserError("The body is not a JSON object.")
    return found
