"""Batch runs that fall due while the clock moves; started ahead, two at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from archlab.spec.grading import BatchRun
from archlab.spec.scenario import Scenario
from archlab.world.children import Crowd
from archlab.world.schedule import batch_due

AT_ONCE = 2

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
    """Runs the jobs and hands their results over when their tick comes.

    Args:
        crowd: where the processes belong.
        module: `python -m module MODEL --at ISO`.
        due: what to run, per tick.
    """

    def __init__(self, crowd: Crowd, module: str, due: Due) -> None:
        room = asyncio.Semaphore(AT_ONCE)
        self._tasks = {
            start: [asyncio.create_task(_run(crowd, room, module, name, when)) for name, when in runs]
            for start, runs in due.items()
        }

    async def results(self, tick: datetime) -> list[Mapping[str, Any]]:
        """Bodies for `POST /batch-runs`, in the scenario's order.

        Raises:
            ChildError: a job failed.
        """
        return [await task for task in self._tasks[tick]]

    def cancel(self) -> None:
        """Forget what has not been handed over."""
        for tasks in self._tasks.values():
            for task in tasks:
                task.cancel()


async def _run(crowd: Crowd, room: asyncio.Semaphore, module: str, model: str, when: datetime) -> Mapping[str, Any]:
    async with room:
        child = await crowd.start(module, model, "--at", when.isoformat())
        return await child.result()


LOOK_AHEAD = timedelta(days=1)
"""Replays are cut into pieces of this length, so that no more runs than a day's are started ahead."""
