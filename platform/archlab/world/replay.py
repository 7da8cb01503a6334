"""`python -m archlab.world.replay --until ISO`: moves the business clock, tick by tick.

A tick is posted whole when it is done. Killed at any moment, the next replay does the unfinished tick again from its
start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import aiohttp

from archlab import jobs
from archlab.errors import LabStateError, UserError
from archlab.identity import mint
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.settings import LabFolder
from archlab.spec.airline import Answer, Tick, Timeliness
from archlab.spec.business import Business
from archlab.spec.lab import LabIdentity
from archlab.spec.plan import Plan
from archlab.spec.release import FeatureSnapshot
from archlab.spec.scenario import Scenario, User
from archlab.world import business as businesses
from archlab.world import copying
from archlab.world.batching import LOOK_AHEAD, BatchRuns, due_runs
from archlab.world.calling import CONNECTIONS, TIMEOUT_S, Callers, World
from archlab.world.children import Crowd
from archlab.world.client import ControlClient
from archlab.world.digest import chained, tick_digest
from archlab.world.freshness import cadence
from archlab.world.happenings import Happening, Span, happenings
from archlab.world.holding import as_held, as_replicas, ready_pods
from archlab.world.materializing import Materializer, arguments
from archlab.world.metering import Interval, Meters, read_meters, taken, usage
from archlab.world.schedule import ticks, views_due


@dataclass(frozen=True, slots=True)
class Setting:
    """What a replay goes by, read once at its start."""

    folder: LabFolder
    scenario: Scenario
    declared: Scenario
    """Before variant and overrides; says how often views are renewed."""
    plan: Plan
    business: Business
    data: Path
    gateway: str
    materializer: str = "archlab.pipelines.materialize"
    """Module that materialises features; started as a process, since replay stands beside the pipelines."""
    batch: str = "archlab.pipelines.batch"
    """Module that makes one batch run."""
    pods: bool = False
    """Whether replicas are pods, of which there may be more than planned, and which have names instead of numbers."""

    @classmethod
    def read(cls, folder: LabFolder, data: Path, gateway: str | None) -> Setting:
        """From the lab's folder.

        Raises:
            LabStateError: the lab is not up.
        """
        try:
            identity = LabIdentity.model_validate_json(folder.identity.read_bytes())
            scenario = Scenario.model_validate_json(folder.scenario.read_bytes())
            plan = Plan.model_validate_json(folder.plan.read_bytes())
        except FileNotFoundError as error:
            raise LabStateError(f"{error.filename} is missing: the lab is not up.", "Run: archlab up") from None
        return cls(
            folder=folder,
            scenario=scenario,
            declared=load_scenario(scenario_folder(identity.scenario) / "scenario.yaml"),
            plan=plan,
            business=businesses.load(scenario.business),
            data=data,
            pods=identity.kube is not None,
            gateway=gateway or os.environ.get("ARCHLAB_GATEWAY") or f"http://127.0.0.1:{identity.gateway_port}",
        )


class Replay:
    """One run of the clock."""

    def __init__(self, setting: Setting, control: ControlClient, callers: Callers) -> None:
        self._setting = setting
        self._control = control
        self._callers = callers
        self._cadence = cadence(setting.declared)
        self._snapshot = _current_snapshot(setting.folder)
        self._meters: Meters = {}
        self.requests: Counter[str] = Counter()
        self.timeliness: Counter[Timeliness] = Counter()
        self.digests: list[str] = []

    async def run(self, spans: Sequence[Span]) -> None:
        """Replay these ticks."""
        self._meters = read_meters(await self._control.metrics())
        for _, piece in groupby(spans, key=lambda span: (span[0] - spans[0][0]) // LOOK_AHEAD):
            await self._piece(list(piece), len(spans))

    async def _piece(self, spans: list[Span], total: int) -> None:
        setting, crowd = self._setting, Crowd()
        tick = spans[0][1] - spans[0][0]
        features = setting.scenario.features
        try:
            last = (spans[-1][1], spans[-1][1] + tick)
            ahead = arguments(spans[0][0], last[1], tick, features)
            materializer = Materializer(await crowd.start(setting.materializer, *ahead))
            due = due_runs(setting.scenario, [*spans, last], await self._control.batch_runs())
            batches = BatchRuns(crowd, setting.batch, due)
            world = await asyncio.to_thread(happenings, setting.business, setting.data, setting.scenario, spans)
            try:
                for span, happening in zip(spans, world, strict=True):
                    await self._tick(Interval(*span), happening, materializer, batches)
                    jobs.report("replay", f"{span[1]:%a %d %b %H:%M}Z", len(self.digests), total)
                await self._renew(last[0], materializer, batches)
            finally:
                batches.cancel()
        finally:
            await crowd.stop()

    async def _renew(self, moment: datetime, materializer: Materializer, batches: BatchRuns) -> None:
        """What is due when the clock reads `moment`: features, then batch runs. Also at the end, for who asks then."""
        made = await materializer.due(moment)
        if made.views:
            self._snapshot = await self._control.post_snapshot(moment, made.views, made.lineage)
        for finished in await batches.results(moment):
            await self._control.post_batch_run(finished)

    async def _tick(
        self, interval: Interval, happening: Happening, materializer: Materializer, batches: BatchRuns
    ) -> None:
        await self._renew(interval.start, materializer, batches)
        feed = await self._control.feed()
        answers = await self._callers.ask_all(happening.questions, self._world(feed.sequence))
        requests = Counter(answer.model for answer in answers)
        exposition = await self._control.metrics()
        meters = read_meters(exposition)
        renewed = views_due(self._setting.scenario.features, interval.start, interval.end - interval.start)
        plan, seconds = self._held(exposition, taken(self._meters, meters))
        copies = copying.kept(self._setting.folder, plan)
        moved = copying.charge(self._setting.folder, interval.start, copies)
        used = usage(interval, self._setting.scenario, plan, seconds, renewed, requests, feed.releases)
        tick = Tick(
            start=interval.start,
            end=interval.end,
            answers=tuple(answers),
            labels=happening.labels,
            usage=(*used, *copying.copied(interval, self._setting.scenario, copies, moved)),
            digest=tick_digest(answers, happening.labels),
        )
        await self._control.post_tick(tick)
        self._meters = meters
        self._count(answers, requests, tick.digest)

    def _held(self, exposition: str, seconds: Meters) -> tuple[Plan, Meters]:
        """What replicas hold and used: as planned on one machine, as the pods are on a cluster."""
        if not self._setting.pods:
            return self._setting.plan, seconds
        pods = ready_pods(exposition)
        plan = as_held(self._setting.plan, pods)
        return plan, as_replicas(seconds, plan, pods)

    def _world(self, feed: int) -> World:
        return World(self._setting.business.cards, self._cadence, self._snapshot, feed)

    def _count(self, answers: list[Answer], requests: Counter[str], digest: str) -> None:
        self.requests += requests
        self.timeliness += Counter(answer.timeliness for answer in answers)
        self.digests.append(digest)


async def replay(setting: Setting, until: datetime) -> dict[str, Any]:
    """Move the clock to `until`; what was replayed.

    Raises:
        ConflictError: another replay is on.
        UserError: `until` is not a whole number of ticks ahead.
        InterruptedJobError: SIGINT or SIGTERM; the ticks done so far are kept.
    """
    control = ControlClient(setting.folder)
    async with control, _session() as session:
        with _stoppable():
            spans = ticks(await control.now(), until, setting.scenario.tick)
            await control.take_lease(until, os.getpid())
            work = Replay(setting, control, Callers(session, setting.gateway, tokens(setting)))
            try:
                await work.run(spans)
            except asyncio.CancelledError:
                raise jobs.InterruptedJobError(
                    f"Stopped at {await control.now():%Y-%m-%d %H:%M}Z; the ticks until then are kept.",
                    "Run the command again to continue.",
                ) from None
            finally:
                await control.give_back_lease(os.getpid())
            return _summary(work, until)


def tokens(setting: Setting) -> dict[str, str]:
    """A bearer token per team: its callers are counted against its limit."""
    callers = (User(name="caller", team=team.name, roles=("viewer",)) for team in setting.scenario.teams)
    return {caller.team: mint(setting.folder, caller) for caller in callers}


def _summary(work: Replay, until: datetime) -> dict[str, Any]:
    return {
        "now": until.isoformat().replace("+00:00", "Z"),
        "ticks": len(work.digests),
        "requests": work.requests.total(),
        "by_model": dict(sorted(work.requests.items())),
        "timeliness": {kind.value: work.timeliness[kind] for kind in Timeliness},
        "digest": chained(work.digests),
    }


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, force_close=False)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """SIGINT and SIGTERM cancel the running task: an exception raised inside a callback would be swallowed."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _current_snapshot(folder: LabFolder) -> FeatureSnapshot | None:
    try:
        return FeatureSnapshot.model_validate_json((folder.snapshots / "current.json").read_bytes())
    except FileNotFoundError:
        return None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{text!r} is not a time.", "Write it as 2013-11-05T08:00:00Z.") from None
    if moment.tzinfo is None:
        raise UserError(f"{text} has no zone.", "Write it with a trailing Z.")
    return moment


def run(arguments: list[str]) -> dict[str, Any]:
    """The job's body."""
    parser = argparse.ArgumentParser(prog="archlab.world.replay")
    parser.add_argument("--until", type=_moment, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the typed Parquet files")
    parser.add_argument("--gateway", help="base URL")
    given = parser.parse_args(arguments)
    setting = Setting.read(LabFolder.from_environment(), given.data, given.gateway)
    # uvloop halves the callers' share of the processor
    import uvloop

    return uvloop.run(replay(setting, given.until))


if __name__ == "__main__":
    jobs.main(run)
