"""Control, as the gate needs it: business time, a place for decisions, exceptions, and a nudge after a promotion."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import TypeAdapter

from archlab.addresses import CONTROL, part
from archlab.errors import UnavailableError
from archlab.identity import PLATFORM, mint
from archlab.registry.view import RegisteredModel
from archlab.settings import LabFolder
from archlab.spec.policy import Decision, DecisionRecord, PolicyException, Query, Standing
from archlab.spec.traffic import Traffic

S = TypeVar("S")
TIMEOUT_S = 3.0
RECONCILE_TIMEOUT_S = 30.0
TOKEN_LIFETIME_S = 3600
_EXCEPTIONS: TypeAdapter[list[PolicyException]] = TypeAdapter(list[PolicyException])
_STANDINGS: TypeAdapter[list[Standing]] = TypeAdapter(list[Standing])


NO_TRAFFIC = Traffic()


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What the decision log says of a model of that name, or of one that had the name before."""

    exceptions: Sequence[PolicyException] = ()
    standings: Sequence[Standing] = ()
    cost: Mapping[str, Any] | None = None
    """What the owning team's models cost, planned and billed; None where nobody asked."""
    traffic: Traffic = NO_TRAFFIC
    """Its champions of now and before, and the shares of callers that other versions may answer."""

    def standings_of(self, model: RegisteredModel) -> tuple[Standing, ...]:
        """What is deprecated or retired of this very model."""
        return tuple(s for s in self.standings if s.model_created == model.created)


NOTHING_ON_RECORD = OnRecord()


class DecisionRecorder(Protocol):
    """Where decisions are kept before they take effect."""

    async def business_time(self) -> datetime:
        """Now on the business clock.

        Raises:
            UnavailableError: control does not answer.
        """
        ...

    async def record(self, query: Query, decision: Decision) -> DecisionRecord:
        """Append a decision to the log.

        Raises:
            UnavailableError: it was not recorded.
        """
        ...

    async def exceptions(self, model: str) -> list[PolicyException]:
        """Exceptions that the log granted to a model of that name, oldest first.

        Raises:
            UnavailableError: control does not answer.
        """
        ...

    async def standings(self, model: str) -> list[Standing]:
        """What the log has deprecated or retired of a model of that name.

        Raises:
            UnavailableError: control does not answer.
        """
        ...

    async def traffic(self, model: str) -> Traffic:
        """Who was champion of a model of that name, and which canaries it may have.

        Raises:
            UnavailableError: control does not answer.
        """
        ...

    async def cost(self, team: str) -> dict[str, Any]:
        """What a team's models cost, planned and billed, as `GET /budgets` says.

        Raises:
            UnavailableError: control does not answer.
        """
        ...

    async def promoted(self) -> None:
        """Tell control that an alias moved.

        Raises:
            UnavailableError: control does not answer; it will find out by itself.
        """
        ...


class ControlRecorder:
    """A `DecisionRecorder` that speaks to control as user `platform`."""

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder
        self._token, self._minted_at = "", 0.0
        at = part(folder, CONTROL)
        transport = httpx.AsyncHTTPTransport(uds=str(at.path) if at.path else None)
        self._client = httpx.AsyncClient(transport=transport, base_url=at.base, timeout=TIMEOUT_S)

    async def business_time(self) -> datetime:
        """See `DecisionRecorder`."""
        answer = await self._call("GET", "/clock")
        try:
            return datetime.fromisoformat(answer["now"])
        except (KeyError, TypeError, ValueError):
            raise UnavailableError("Control's clock gave no time.") from None

    async def record(self, query: Query, decision: Decision) -> DecisionRecord:
        """See `DecisionRecorder`."""
        body = {"query": query.model_dump(mode="json"), "decision": decision.model_dump(mode="json")}
        answer = await self._call("POST", "/decisions", body)
        try:
            return DecisionRecord.model_validate(answer)
        except ValueError:
            raise UnavailableError("Control's answer to a decision is no record.") from None

    async def exceptions(self, model: str) -> list[PolicyException]:
        """See `DecisionRecorder`."""
        return await self._listed("exceptions", model, _EXCEPTIONS)

    async def standings(self, model: str) -> list[Standing]:
        """See `DecisionRecorder`."""
        return await self._listed("lifecycle", model, _STANDINGS)

    async def traffic(self, model: str) -> Traffic:
        """See `DecisionRecorder`."""
        answer = await self._call("GET", f"/traffic?{urlencode({'model': model})}")
        try:
            return Traffic.model_validate(answer)
        except ValueError:
            raise UnavailableError("Control's answer about traffic can't be read.") from None

    async def cost(self, team: str) -> dict[str, Any]:
        """See `DecisionRecorder`."""
        answer = await self._call("GET", f"/budgets?{urlencode({'team': team})}")
        if not isinstance(answer, dict):
            raise UnavailableError("Control's answer about costs can't be read.")
        return answer

    async def promoted(self) -> None:
        """See `DecisionRecorder`."""
        await self._call("POST", "/releases/reconcile", {}, timeout_s=RECONCILE_TIMEOUT_S)

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def _listed(self, what: str, model: str, kind: TypeAdapter[list[S]]) -> list[S]:
        answer = await self._call("GET", f"/{what}?{urlencode({'model': model})}")
        try:
            return kind.validate_python(answer)
        except ValueError:
            raise UnavailableError(f"Control's answer about {what} can't be read.") from None

    async def _call(self, method: str, path: str, body: Any = None, *, timeout_s: float = TIMEOUT_S) -> Any:
        headers = {"authorization": f"Bearer {self._bearer()}"}
        try:
            response = await self._client.request(method, path, json=body, headers=headers, timeout=timeout_s)
            response.raise_for_status()
            return response.json()
        except httpx.HTTPStatusError as error:
            raise UnavailableError(f"Control answered {error.response.status_code} to {path}.") from None
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError(f"Control does not answer {path} ({type(error).__name__}).") from None

    def _bearer(self) -> str:
        # by the wall clock, as tokens are: the monotonic one stands still while a laptop sleeps
        now = time.time()
        if not self._minted_at <= now < self._minted_at + TOKEN_LIFETIME_S / 2:
            self._token, self._minted_at = mint(self._folder, PLATFORM, lifetime_s=TOKEN_LIFETIME_S), now
        return self._token
