"""`python -m archlab.pipelines.materialize --from ISO --to ISO --every VIEW=SECONDS ...`: online features by tick.

For each tick that starts at a moment with from <= moment < to, the views that are due are materialised by Feast and
exported; one line per tick, `{"tick", "views": [...], "cpu_ms": {...}, "lineage": [...]}`, is printed as soon as its
files exist; `lineage` are OpenLineage events, which whoever publishes the views hands on with them. Feast
stays the only writer of the online store. Running it again for the same span gives the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archlab import jobs
from archlab.errors import UnavailableError, UsageError, UserError
from archlab.lineage import names, spool
from archlab.lineage.events import Event, completed
from archlab.pipelines import data, recipes
from archlab.pipelines.training_sets import services
from archlab.settings import LabFolder
from archlab.spec.lineage import LineageArtifact
from archlab.spec.release import ViewSnapshot
from archlab.spec.scenario import Scenario

if TYPE_CHECKING:
    from archlab_features.materialize import Written
    from archlab_features.online import OnlineStore

DEFAULT_TICK_S = 1800
ONLINE_STORE = "ARCHLAB_ONLINE_STORE"
"""Variable with the URL of a Redis that Feast keeps the online store in."""


def run(arguments: list[str]) -> dict[str, Any]:
    """The job's body."""
    parser = argparse.ArgumentParser(prog="archlab.pipelines.materialize")
    parser.add_argument("--from", dest="start", type=_moment, required=True)
    parser.add_argument("--to", dest="end", type=_moment, required=True)
    parser.add_argument("--tick", type=int, default=DEFAULT_TICK_S, help="seconds")
    parser.add_argument("--every", action="append", default=[], help="VIEW=SECONDS; several, or separated by commas")
    chosen = parser.parse_args(arguments)
    every = schedules(chosen.every)
    folder = LabFolder.from_environment()
    scenario = Scenario.model_validate_json(folder.scenario.read_bytes())
    every = every or {schedule.view: schedule.every for schedule in scenario.features}
    _in_utc()
    typed = data.ensure(folder.cache, scenario.business)
    wanted = services(recipes.training(scenario.business).RECIPES)
    from archlab_features.materialize import Materializer

    warnings.filterwarnings("ignore")  # after Feast's import, which resets it
    with _answering():
        materializer = Materializer(folder.features, typed, folder.snapshots, wanted, _online(folder))
        span = (chosen.start, chosen.end, timedelta(seconds=chosen.tick))
        ticks = _stream(folder, typed, materializer.ticks(*span, every))
    return {"ticks": ticks}


def _stream(folder: LabFolder, typed: Path, found: Iterable[tuple[datetime, list[Written]]]) -> int:
    """One line per tick; how many there were."""
    files = spool.Files(typed, f"{names.cached(folder.cache, typed)}/")
    told = spool.kept(typed / spool.NAME)  # the lab may have been told of other data than is there by now
    ticks = 0
    for moment, written in found:
        views = [
            ViewSnapshot(view=w.view, sha256=w.sha256, path=w.path, rows=w.rows, materialized=w.materialized)
            for w in written
        ]
        line = {
            "tick": moment.isoformat(),
            "views": [view.model_dump(mode="json") for view in views],
            "cpu_ms": {w.view: round(w.cpu_ms, 1) for w in written},
            "lineage": [*told, *events(files, views, moment)],
        }
        told = []
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        ticks += 1
    return ticks


def _online(folder: LabFolder) -> OnlineStore | None:
    """The Redis that ARCHLAB_ONLINE_STORE names; None for the lab's own file.

    Raises:
        UserError: it names none that can be used.
    """
    url = os.environ.get(ONLINE_STORE)
    if not url:
        return None
    from archlab_features.redis_online import RedisStore

    try:
        return RedisStore(url, folder.features)
    except ValueError as error:
        raise UserError(f"{ONLINE_STORE} can't be used: {error}.", "Write redis://:PASSWORD@HOST:6379/0.") from None


@contextmanager
def _answering() -> Iterator[None]:
    """What a Redis does not do as one of our errors; its address without a password."""
    if not (url := os.environ.get(ONLINE_STORE)):
        yield
        return
    from redis import RedisError

    try:
        yield
    except RedisError as error:
        where = url.rpartition("@")[2].removeprefix("redis://").removeprefix("rediss://")
        raise UnavailableError(
            f"The online store in the Redis at {where} fails: {error}",
            "Check its address, its password and its memory.",
        ) from None


def events(files: spool.Files, views: Sequence[ViewSnapshot], moment: datetime) -> list[Event]:
    """A run per view: from its history to its rows at a moment."""
    return [
        event
        for view in views
        for event in completed(
            f"materialize.{view.view}",
            inputs=[files.artifact(f"views/{view.view}.parquet")],
            outputs=[LineageArtifact(name=names.view_rows(view.view), sha256=view.sha256)],
            facts={"rows": str(view.rows), "materialized": view.materialized.isoformat()},
            business_time=moment,
        )
    ]


def schedules(words: list[str]) -> dict[str, timedelta]:
    """`VIEW=SECONDS` words, each perhaps several separated by commas.

    Raises:
        UsageError: one does not read so, or names no view.
    """
    from archlab_features.views import VIEWS

    known = [view.name for view in VIEWS]
    found: dict[str, timedelta] = {}
    for word in (part for group in words for part in group.split(",") if part):
        view, equals, seconds = word.partition("=")
        if not equals or view not in known or not seconds.isdecimal() or int(seconds) == 0:
            raise UsageError(f"--every {word!r} is not VIEW=SECONDS.", f"Views: {', '.join(known)}.")
        found[view] = timedelta(seconds=int(seconds))
    return found


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no zone; write it with a trailing Z")
    return moment.astimezone(UTC)


def _in_utc() -> None:
    """Feast's SQLite store keeps moments as local time, which is ambiguous where clocks change."""
    os.environ["TZ"] = "UTC"
    time.tzset()


if __name__ == "__main__":
    jobs.main(run)
