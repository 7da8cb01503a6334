"""Brings Feast's online store forward tick by tick and writes what servers read.

The online store is Feast's: filled by `materialize`, moved on by `write_to_online_store` with the rows that reached us
since. A late row never replaces a newer one. It is remembered how far each view has come; a store that is ahead of the
clock (a replay was interrupted), or that has lost rows, is built again for the moment asked, so that a snapshot depends
on its moment and nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd

from archlab_features import repository
from archlab_features.online import OnlineStore, SqliteStore
from archlab_features.snapshot import OnlineView, write_blob
from archlab_features.views import VIEWS, path, view

BEGINNING = datetime(2012, 12, 31, tzinfo=UTC)
DAY_STARTS = timedelta(hours=8)
"""Time of day (UTC) from which schedules count: when the daily views have their rows."""


@dataclass(frozen=True, slots=True)
class Written:
    """One view's snapshot file."""

    view: str
    sha256: str
    path: str
    rows: int
    materialized: datetime
    cpu_ms: float


def last_due(every: timedelta, moment: datetime) -> datetime:
    """The newest moment at which a view with this schedule was due, not after `moment`."""
    since = moment - (datetime(2013, 1, 1, tzinfo=UTC) + DAY_STARTS)
    return moment - since % every


class Materializer:
    """Moves one lab's online features.

    Args:
        folder: Feast's folder of the lab; holds `registry.db`, and the online store unless one is given.
        data: typed files and the views' history.
        snapshots: where the files for servers go (`blobs/<sha256>.json`).
        online: where Feast keeps the rows.
    """

    def __init__(
        self,
        folder: Path,
        data: Path,
        snapshots: Path,
        services: repository.Services,
        online: OnlineStore | None = None,
    ) -> None:
        self._data = data
        self._snapshots = snapshots
        self._place = online or SqliteStore(folder)
        self._store = repository.open_store(folder, self._place)
        repository.apply(self._store, folder, data, services)
        self._online = {each.name: OnlineView(each, self._place) for each in VIEWS}
        self._state = self._place.state()

    def ticks(
        self, start: datetime, end: datetime, tick: timedelta, every: Mapping[str, timedelta]
    ) -> Iterator[tuple[datetime, list[Written]]]:
        """What fell due at each tick's start, start <= tick < end; its files exist when it is yielded.

        The first tick brings every view, those that were due before it too: whoever asks may not have seen them.
        """
        yield start, self._begin(start, every)
        arriving = {name: self._arriving(name, end) for name in every}
        moment = start + tick
        while moment < end:
            due = [name for name, interval in every.items() if last_due(interval, moment) > moment - tick]
            yield moment, [self._move(name, moment, arriving[name]) for name in due]
            moment += tick

    def _begin(self, start: datetime, every: Mapping[str, timedelta]) -> list[Written]:
        due = {name: last_due(interval, start) for name, interval in every.items()}
        behind = [name for name in due if self._state.get(name, BEGINNING) < due[name]]
        if set(self._state) < set(every) or any(moment > start for moment in self._state.values()):
            return self._build(due)
        for name in self._state:
            self._online[name].read_all()
        moved = {name: self._move(name, due[name], self._arriving(name, due[name])) for name in behind}
        return [moved.get(name) or self._write(name, self._state[name], 0.0) for name in every]

    def _build(self, due: Mapping[str, datetime]) -> list[Written]:
        """Empty the online store and fill it for these moments."""
        self._write_state({})
        self._place.empty()
        spent: dict[str, float] = {}
        for moment in sorted(set(due.values())):
            names = [name for name in due if due[name] == moment]
            began = time.process_time()
            with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
                self._store.materialize(BEGINNING, moment, feature_views=names)
            spent |= dict.fromkeys(names, (time.process_time() - began) / len(names))
        for name in due:
            self._online[name].read_all()
        written = [self._write(name, moment, spent[name]) for name, moment in due.items()]
        self._write_state(dict(due))
        return written

    def _move(self, name: str, moment: datetime, arriving: pd.DataFrame) -> Written:
        """Write the rows that reached us since the last time; export the view."""
        began = time.process_time()
        since = self._state.get(name, BEGINNING)
        fresh = arriving[(arriving["created"] > since) & (arriving["created"] <= moment)]
        fresh = self._newest(name, fresh)
        if len(fresh):
            self._store.write_to_online_store(name, fresh)
            self._online[name].read(list(fresh[view(name).join_key]))
        written = self._write(name, moment, 0.0)
        self._write_state({**self._state, name: moment})
        return replace(written, cpu_ms=(time.process_time() - began) * 1000)

    def _newest(self, name: str, rows: pd.DataFrame) -> pd.DataFrame:
        """Per key the newest row by event, unless the online store has a newer one."""
        key, online = view(name).join_key, self._online[name].rows
        newest = rows.sort_values(["event_timestamp", "created"]).drop_duplicates(key, keep="last")
        stale = [
            found is not None and found.event_timestamp > moment
            for found, moment in zip((online.get(k) for k in newest[key]), newest["event_timestamp"], strict=True)
        ]
        return newest[[not each for each in stale]]

    def _arriving(self, name: str, until: datetime) -> pd.DataFrame:
        since = self._state.get(name, BEGINNING)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            history = connection.read_parquet(str(path(self._data, name)))
            rows = history.filter(f"created > '{_naive(since)}' AND created <= '{_naive(until)}'").df()
        for column in ("event_timestamp", "created"):
            rows[column] = rows[column].dt.tz_localize("UTC")
        return rows

    def _write(self, name: str, moment: datetime, cpu_s: float) -> Written:
        online = self._online[name]
        sha256, where = write_blob(self._snapshots, online.snapshot(moment))
        return Written(name, sha256, where, len(online.fresh(moment)), moment, cpu_s * 1000)

    def _write_state(self, state: dict[str, datetime]) -> None:
        self._state = state
        self._place.keep(state, {name: len(self._online[name].rows) for name in state})


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
