"""The probe: outside of both regions it writes and reads through the gateway all the time, and keeps its own ledger.

`python -m archlab.drills.probe URL LEDGER [ASKED]` until SIGTERM. Each write has a number and is sent again until
it is acknowledged. It knows nothing of the platform but the gateway's address, the answers to what it asks a model, and
a change that it may ask of the registry. The ledger is one line of JSON per attempt.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import IO

import aiohttp

from archlab.drills.answers import is_right
from archlab.errors import UnavailableError, UsageError
from archlab.spec.drill import Asked, Attempt, Change, Kind, Question

WRITERS, READERS = 4, 1
PAUSE_S = 0.02
TIMEOUT_S = 2.0
"""How long a caller waits for an answer."""
CHANGE_PAUSE_S, CHANGE_S = 0.2, 10.0
"""Between two changes, and how long whoever asks for one waits: it is decided and put on record first."""
SYNC_EVERY_S = 0.05
NOTHING = Asked()
WRONG, DENIED = "wrong", "denied"


class Ledger:
    """What the probe was told, on disk before it counts: lines are synced in groups."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.acknowledged: int | None = None
        """The newest write that was acknowledged."""

    def add(self, attempt: Attempt) -> None:
        """Note an attempt."""
        self._file.write(attempt.model_dump_json() + "\n")
        if attempt.ok and attempt.kind is Kind.WRITE:
            self.acknowledged = attempt.number

    async def keep(self) -> None:
        """Sync again and again."""
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            self._file.flush()
            await asyncio.to_thread(os.fsync, self._file.fileno())


def read_ledger(path: Path) -> tuple[Attempt, ...]:
    """Every attempt; a last line that was cut off by a kill is left out."""
    with path.open() as file:
        return tuple(Attempt.model_validate_json(line) for line in file if line.endswith("\n"))


def acknowledged_present(base: str, *, timeout_s: float = 10.0) -> frozenset[int]:
    """Numbers of all writes that can be read through the gateway.

    Raises:
        UnavailableError: it does not answer.
    """
    import httpx

    found: set[int] = set()
    try:
        with httpx.Client(base_url=base, timeout=timeout_s) as client:
            after = -1
            while numbers := client.get("/writes", params={"after": after}).raise_for_status().json()["numbers"]:
                found.update(numbers)
                after = numbers[-1]
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise UnavailableError(f"The writes can't be read through {base}: {error}.") from None
    return frozenset(found)


async def probe(base: str, ledger: Ledger, asked: Asked = NOTHING) -> None:
    """Write, read, and ask what else there is to ask, until cancelled."""
    numbers = count()
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=WRITERS + READERS + 2)
    async with (
        aiohttp.ClientSession(base, timeout=timeout, connector=connector) as session,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(ledger.keep())
        for _ in range(WRITERS):
            group.create_task(_write(session, numbers, ledger))
        for _ in range(READERS):
            group.create_task(_read(session, ledger))
        if asked.questions:
            group.create_task(_ask(session, asked.questions, ledger))
        if asked.change:
            group.create_task(_change(session, asked.change, ledger))


async def _write(session: aiohttp.ClientSession, numbers: Iterator[int], ledger: Ledger) -> None:
    for number in numbers:
        while True:
            attempt = await _try(session, Kind.WRITE, number)
            ledger.add(attempt)
            await asyncio.sleep(PAUSE_S)
            if attempt.ok:
                break


async def _read(session: aiohttp.ClientSession, ledger: Ledger) -> None:
    while True:
        if ledger.acknowledged is not None:
            ledger.add(await _try(session, Kind.READ, ledger.acknowledged))
        await asyncio.sleep(PAUSE_S)


async def _ask(session: aiohttp.ClientSession, questions: Sequence[Question], ledger: Ledger) -> None:
    for number in count():
        question = questions[number % len(questions)]
        sent = time.monotonic()
        outcome = await _outcome(_predicted(session, question))
        ledger.add(Attempt(kind=Kind.PREDICT, number=number, sent=sent, done=time.monotonic(), outcome=outcome))
        await asyncio.sleep(PAUSE_S)


async def _change(session: aiohttp.ClientSession, change: Change, ledger: Ledger) -> None:
    for number in count():
        sent = time.monotonic()
        outcome = await _outcome(_changed(session, change))
        ledger.add(Attempt(kind=Kind.PROMOTE, number=number, sent=sent, done=time.monotonic(), outcome=outcome))
        await asyncio.sleep(CHANGE_PAUSE_S)


async def _changed(session: aiohttp.ClientSession, change: Change) -> str:
    headers, timeout = {"authorization": f"Bearer {change.token}"}, aiohttp.ClientTimeout(total=CHANGE_S)
    async with session.post(change.path, json=change.body, headers=headers, timeout=timeout) as answer:
        await answer.read()
        return {200: "ok", 403: DENIED}.get(answer.status, f"http-{answer.status}")


async def _predicted(session: aiohttp.ClientSession, question: Question) -> str:
    async with session.post(question.path, json=question.body) as answer:
        content = await answer.read()
        if answer.status != 200:
            return f"http-{answer.status}"
    try:
        return "ok" if is_right(json.loads(content), question) else WRONG
    except ValueError:
        return WRONG


async def _try(session: aiohttp.ClientSession, kind: Kind, number: int) -> Attempt:
    sent = time.monotonic()
    outcome = await _outcome(_answered(session, kind, number))
    return Attempt(kind=kind, number=number, sent=sent, done=time.monotonic(), outcome=outcome)


async def _answered(session: aiohttp.ClientSession, kind: Kind, number: int) -> str:
    method, wanted = ("PUT", 201) if kind is Kind.WRITE else ("GET", 200)
    async with session.request(method, f"/writes/{number}") as answer:
        await answer.read()
        return "ok" if answer.status == wanted else _status(kind, answer.status)


async def _outcome(request: Awaitable[str]) -> str:
    """What came of a request, or the class of its failure."""
    try:
        return await request
    except TimeoutError:
        return "timeout"
    except aiohttp.ClientConnectorError:
        return "refused"
    except aiohttp.ClientError:
        return "reset"


def _status(kind: Kind, status: int) -> str:
    return "missing" if kind is Kind.READ and status == 404 else f"http-{status}"


async def _main(arguments: list[str]) -> None:
    if len(arguments) not in (2, 3):
        raise UsageError("python -m archlab.drills.probe URL LEDGER [ASKED]")
    asked = Asked.model_validate_json(Path(arguments[2]).read_bytes()) if len(arguments) == 3 else NOTHING
    with Path(arguments[1]).open("a") as file:
        work = asyncio.ensure_future(probe(arguments[0], Ledger(file), asked))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        sys.stdout.write(json.dumps({"step": "probing"}) + "\n")
        sys.stdout.flush()
        with suppress(asyncio.CancelledError):
            await work


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
