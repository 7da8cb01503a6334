"""Control, asked by the platform itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import aiohttp
import orjson
from pydantic import BaseModel, TypeAdapter

from archlab.addresses import CONTROL, Address, part
from archlab.errors import ArchlabError, ConflictError, UnavailableError, UserError
from archlab.identity import PLATFORM, mint
from archlab.settings import LabFolder
from archlab.spec.airline import Tick
from archlab.spec.grading import BatchRun
from archlab.spec.release import FeatureSnapshot, ReleaseFeed, ViewSnapshot

M = TypeVar("M", bound=BaseModel)
TIMEOUT_S = 120.0
_RUNS: TypeAdapter[list[BatchRun]] = TypeAdapter(list[BatchRun])


class ControlClient:
    """The calls that a replay makes. Use as an async context manager."""

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder
        self._at = part(folder, CONTROL)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ControlClient:
        self._session = aiohttp.ClientSession(
            connector=_connector(self._at),
            headers={"Authorization": f"Bearer {mint(self._folder, PLATFORM)}", "Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def now(self) -> datetime:
        """The business clock."""
        return datetime.fromisoformat((await self._json("GET", "/clock"))["now"])

    async def take_lease(self, until: datetime, pid: int) -> None:
        """Take the clock; ConflictError when a living process has it."""
        await self._json("POST", "/clock/lease", {"until": until.isoformat(), "pid": pid})

    async def give_back_lease(self, pid: int) -> None:
        """Free the clock, if this process has it."""
        await self._json("DELETE", f"/clock/lease?pid={pid}")

    async def feed(self) -> ReleaseFeed:
        """What is released now."""
        return ReleaseFeed.model_validate(await self._json("GET", "/releases"))

    async def batch_runs(self) -> list[BatchRun]:
        """Runs recorded so far."""
        return _RUNS.validate_python(await self._json("GET", "/batch-runs"))

    async def post_batch_run(self, finished: Mapping[str, Any]) -> None:
        """Record a run and publish its table."""
        await self._json("POST", "/batch-runs", finished)

    async def post_snapshot(
        self, business_time: datetime, views: tuple[ViewSnapshot, ...], lineage: Sequence[Mapping[str, Any]] = ()
    ) -> FeatureSnapshot:
        """Publish materialised views, and what is on record of their making."""
        body = {
            "business_time": business_time.isoformat(),
            "views": [v.model_dump(mode="json") for v in views],
            "lineage": lineage,
        }
        return FeatureSnapshot.model_validate(await self._json("POST", "/snapshots", body))

    async def post_tick(self, tick: Tick) -> None:
        """Record a tick and move the clock."""
        await self._send("POST", "/ticks", tick.model_dump_json().encode())

    async def metrics(self) -> str:
        """Every replica's Prometheus text."""
        return (await self._send("GET", "/metrics")).decode()

    async def _json(self, method: str, path: str, body: Any = None) -> Any:
        return orjson.loads(await self._send(method, path, orjson.dumps(body) if body is not None else None))

    async def _send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        assert self._session is not None
        try:
            async with self._session.request(method, f"{self._at.base}{path}", data=body) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnavailableError(
                f"Control does not answer {method} {path}: {error}.", "See: archlab status"
            ) from None
        if response.status >= 400:
            raise _error(response.status, content)
        return content


def _connector(at: Address) -> aiohttp.BaseConnector:
    return aiohttp.UnixConnector(str(at.path)) if at.path else aiohttp.TCPConnector()


def _error(status: int, content: bytes) -> ArchlabError:
    try:
        said = orjson.loads(content)
    except ValueError:
        said = {}
    kind = ConflictError if status == 409 else UserError if status < 500 else ArchlabError
    return kind(said.get("error", f"Control answers {status}."), said.get("remedy", ""))
