"""The feature views of each tick, as the materialiser streams them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from archlab.errors import ArchlabError
from archlab.spec.release import ViewSnapshot
from archlab.spec.scenario import FeatureSchedule
from archlab.world.children import Child


def arguments(start: datetime, end: datetime, tick: timedelta, features: Sequence[FeatureSchedule]) -> list[str]:
    """Its command line: what is due at each tick's start with start <= tick < end."""
    every = [f"{f.view}={int(f.every.total_seconds())}" for f in features]
    span = ["--from", start.isoformat(), "--to", end.isoformat(), "--tick", str(int(tick.total_seconds()))]
    return [*span, *(word for schedule in every for word in ("--every", schedule))]


@dataclass(frozen=True, slots=True)
class Materialized:
    """What fell due at one tick."""

    views: tuple[ViewSnapshot, ...]
    lineage: tuple[dict[str, Any], ...]
    """OpenLineage events about them."""


class Materializer:
    """Views per tick, in the ticks' order; it works ahead while a tick's callers ask."""

    def __init__(self, child: Child) -> None:
        self._ticks = _ticks(child)

    async def due(self, tick: datetime) -> Materialized:
        """What was materialised for the tick that starts then; empty when nothing was due.

        Raises:
            ArchlabError: the materialiser failed, or streams other ticks.
        """
        said = await anext(self._ticks, None)
        if said is None or datetime.fromisoformat(said["tick"]) != tick:
            found = "nothing" if said is None else said["tick"]
            raise ArchlabError(f"The materialiser streamed {found} where {tick.isoformat()} was due.")
        views = tuple(ViewSnapshot.model_validate(view) for view in said["views"])
        return Materialized(views, tuple(said.get("lineage", ())))


async def _ticks(child: Child) -> AsyncIterator[dict[str, Any]]:
    async for said in child.lines():
        if "tick" in said:
            yield said
