"""Callers: each request of a tick goes through the gateway as its team, and what came back is an answer."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import orjson

from archlab.spec.airline import Answer
from archlab.spec.business import Ask, ModelCard
from archlab.spec.callers import Caller
from archlab.spec.release import FeatureSnapshot
from archlab.spec.scenario import Model
from archlab.world.freshness import is_stale, timeliness, view_ages

CONNECTIONS = 8
TIMEOUT_S = 10.0
THROTTLED = 429
THROTTLED_TRIES = 50
THROTTLED_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Question:
    """One request of one caller."""

    model: Model
    ask: Ask

    @property
    def id(self) -> str:
        """The same in every replay."""
        return f"{self.model.name}/{self.ask.subject}/{self.ask.asked:%Y-%m-%dT%H:%M:%SZ}"

    def body(self) -> bytes:
        """The request in the Open Inference Protocol: keys as BYTES, columns as FP32, one row."""
        keys = [_tensor(name, "BYTES", value) for name, value in self.ask.keys.items()]
        columns = [_tensor(name, "FP32", value) for name, value in self.ask.columns.items()]
        return orjson.dumps({"id": self.id, "inputs": keys + columns})


@dataclass(frozen=True, slots=True)
class World:
    """What is published while a tick's questions are asked."""

    cards: Mapping[str, ModelCard]
    cadence: Mapping[str, timedelta]
    snapshot: FeatureSnapshot | None
    feed_sequence: int

    def headers(self) -> dict[str, str]:
        """Read-your-writes: a server that is behind catches up before it answers."""
        headers = {"x-archlab-min-feed": str(self.feed_sequence)}
        return headers | ({"x-archlab-min-snapshot": str(self.snapshot.sequence)} if self.snapshot else {})


class Callers:
    """Asks through the gateway.

    Args:
        session: of aiohttp; its connector bounds how many requests are under way.
        gateway: base URL.
        tokens: bearer token per team.
    """

    def __init__(self, session: aiohttp.ClientSession, gateway: str, tokens: Mapping[str, str]) -> None:
        self._session = session
        self._gateway = gateway
        self._tokens = tokens
        self._room = asyncio.Semaphore(CONNECTIONS)

    async def ask_all(self, questions: Sequence[Question], world: World) -> list[Answer]:
        """Answers in the order of the questions."""
        return list(await asyncio.gather(*(self._ask(question, world) for question in questions)))

    async def _ask(self, question: Question, world: World) -> Answer:
        headers = {
            "Authorization": f"Bearer {self._tokens[question.model.team]}",
            "Content-Type": "application/json",
            "x-request-id": question.id,
            "x-archlab-business-time": question.ask.asked.isoformat(),
            **world.headers(),
        }
        url, body = f"{self._gateway}/v2/models/{question.model.name}/infer", question.body()
        async with self._room:
            status, content, latency_ms = await self._send(url, body, headers)
        return judge(question, world, status, content, latency_ms)

    async def _send(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, float]:
        """Status (0: no connection), content, milliseconds.

        Replay packs half an hour into a second. When the gateway's limit, which counts real seconds, says 429, the
        caller waits; only the time of the last try counts. Who is told to come back much later, because a quota is used
        up, does not try again.
        """
        for _ in range(THROTTLED_TRIES):
            began = time.perf_counter()
            try:
                async with self._session.post(url, data=body, headers=headers) as response:
                    status, content = response.status, await response.read()
                    later = int(response.headers.get("retry-after", "0"))
            except (aiohttp.ClientError, TimeoutError):
                status, content, later = 0, b"", 0
            latency_ms = (time.perf_counter() - began) * 1000
            if status != THROTTLED or later > THROTTLED_TRIES * THROTTLED_WAIT_S:
                break
            await asyncio.sleep(THROTTLED_WAIT_S)
        return status, content, latency_ms


def judge(question: Question, world: World, status: int, content: bytes, latency_ms: float) -> Answer:
    """What came back, as an answer: its prediction, and whether it could be used. Pure."""
    said = _parsed(content) if status == 200 else {}
    parameters = said.get("parameters", {})
    prediction, as_of = _prediction(said), _moment(parameters.get("features_as_of"))
    caller, asked = question.model.caller, question.ask.asked
    stale = prediction is not None and _stale(question, caller, world, parameters, as_of)
    return Answer(
        request_id=question.id,
        model=question.model.name,
        version=str(parameters.get("model_version") or said.get("model_version") or ""),
        subject=question.ask.subject,
        asked=asked,
        prediction=prediction,
        features_as_of=as_of,
        latency_ms=round(latency_ms, 3),
        timeliness=timeliness(caller, answered=prediction is not None, stale=stale, latency_ms=latency_ms),
        status=status,
    )


def _stale(
    question: Question, caller: Caller, world: World, parameters: Mapping[str, Any], as_of: datetime | None
) -> bool:
    asked = question.ask.asked
    # a table's release is MODEL:VERSION:RUN, and its answers are as old as the run
    if str(parameters.get("release", "")).count(":") > 1:
        return is_stale(caller, world.cadence, {}, asked - as_of if as_of else timedelta())
    ages = view_ages(world.cards[question.model.name], world.snapshot, asked)
    return is_stale(caller, world.cadence, ages, None)


def _tensor(name: str, datatype: str, value: str | float) -> dict[str, Any]:
    # JSON has no NaN; null is what servers read as unknown
    known = None if isinstance(value, float) and math.isnan(value) else value
    return {"name": name, "datatype": datatype, "shape": [1], "data": [known]}


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(content)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _prediction(said: Mapping[str, Any]) -> float | None:
    try:
        value = said["outputs"][0]["data"][0]
    except (KeyError, IndexError, TypeError):
        return None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None
