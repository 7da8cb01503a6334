"""Batch runs that fall due while the clock moves: one child makes them in order, ahead of the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from archlab.errors import ArchlabError
from archlab.spec.grading import BatchRun
from archlab.spec.scenario import Scenario
from archlab.world.children import Crowd
from archlab.world.schedule import batch_due

Due = dict[datetime, list[tuple[str, datetime]]]


def due_runs(scenario: Scenario, ticks: Sequence[tuple[datetime, datetime]], done: Iterable[BatchRun]) -> Due:
    """(model, when) per tick's start: runs due since the tick before; one that was made already is left out."""
    made = {(run.model, run.business_time) for run in done}
    found: Due = {}
    for start, end in ticks:
        moments = [(m.name, batch_due(m, start - (end - start), start)) for m in scenario.models]
        found[start] = [(name, when) for name, when in moments if when is not None and (name, when) not in made]
    return found


class BatchRuns:
    """Runs the job and hands its results over when their tick comes."""

    def __init__(self, crowd: Crowd, module: str, due: Due) -> None:
        loop = asyncio.get_running_loop()
        self._due = due
        self._wanted = [run for _, runs in sorted(due.items()) for run in runs]
        self._results: dict[tuple[str, datetime], asyncio.Future[Mapping[str, Any]]] = {
            run: loop.create_future() for run in self._wanted
        }
        self._job = asyncio.create_task(self._run(crowd, module)) if self._wanted else None

    async def results(self, tick: datetime) -> list[Mapping[str, Any]]:
        """Bodies for `POST /batch-runs`, in the scenario's order.

        Raises:
            ArchlabError: the job failed.
        """
        return [await self._results[run] for run in self._due[tick]]

    def cancel(self) -> None:
        """Forget what has not been handed over."""
        if self._job:
            self._job.cancel()
        for result in self._results.values():
            if result.done() and not result.cancelled():
                result.exception()  # seen: nobody will wait for it any more
            result.cancel()

    async def _run(self, crowd: Crowd, module: str) -> None:
        try:
            child = await crowd.start(module, *(f"{model}@{when.isoformat()}" for model, when in self._wanted))
            waiting = iter(self._wanted)
            async for said in child.lines():
                if "finished" in said:
                    self._results[next(waiting)].set_result(said["finished"])
            self._fail(ArchlabError(f"{module} ended before its last run.", "The job's log has its last words."))
        except ArchlabError as error:
            self._fail(error)

    def _fail(self, error: ArchlabError) -> None:
        for result in self._results.values():
            if not result.done():
                result.set_exception(error)


LOOK_AHEAD = timedelta(days=1)
"""Replays are cut into pieces of this length, so that no more runs than a day's are started ahead."""
