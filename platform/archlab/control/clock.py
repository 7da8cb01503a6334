"""The business clock and its lease: one replay at a time."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil

from archlab.addresses import on_cluster
from archlab.control.store import Store
from archlab.control.times import from_us, to_us
from archlab.errors import ConflictError
from archlab.spec.scenario import Scenario

SILENCE_S = 90.0
"""On a cluster a lease ends when no tick was recorded for so long."""


@dataclass(frozen=True, slots=True)
class ClockState:
    """Where the clock stands, and who moves it."""

    started: datetime
    now: datetime
    lease_until: datetime | None
    lease_pid: int | None

    def json(self, scenario: Scenario) -> dict[str, Any]:
        """The answer of `GET /clock`."""
        advancing = None if self.lease_pid is None else {"until": self.lease_until, "pid": self.lease_pid}
        tick_seconds = int(scenario.tick.total_seconds())
        return {"now": self.now, "started": self.started, "tick_seconds": tick_seconds, "advancing": advancing}


def start(store: Store, scenario: Scenario) -> None:
    """Set the clock to the scenario's start, once."""
    moment = to_us(scenario.starts)
    with store.write() as db:
        db.execute("INSERT OR IGNORE INTO clock (only, started_us, now_us) VALUES (1, ?, ?)", (moment, moment))


def read(db: sqlite3.Connection) -> ClockState:
    """The clock; a lease whose holder is gone counts as free."""
    row = db.execute("SELECT * FROM clock").fetchone()
    held = row["lease_pid"] is not None and _living(row["lease_pid"], row["lease_born"])
    return ClockState(
        started=from_us(row["started_us"]),
        now=from_us(row["now_us"]),
        lease_until=from_us(row["lease_until_us"]) if held else None,
        lease_pid=row["lease_pid"] if held else None,
    )


def take(store: Store, until: datetime, pid: int) -> ClockState:
    """Take the lease for a process, or renew it.

    Raises:
        ConflictError: a living process holds it, or the time to advance to has passed.
    """
    with store.write() as db:
        clock = read(db)
        if clock.lease_pid not in (None, pid):
            raise ConflictError(
                f"Process {clock.lease_pid} is advancing the clock to {clock.lease_until:%Y-%m-%d %H:%M}Z.",
                "Wait until it is done, or stop it.",
            )
        if until <= clock.now:
            raise ConflictError(
                f"The clock stands at {clock.now:%Y-%m-%d %H:%M}Z; it can't go back to {until:%Y-%m-%d %H:%M}Z.",
                "Start over with: archlab reset",
            )
        if (born := _now() if on_cluster() else _born(pid)) is None:
            raise ConflictError(f"There is no process {pid} to hold the clock's lease.")
        db.execute("UPDATE clock SET lease_until_us = ?, lease_pid = ?, lease_born = ?", (to_us(until), pid, born))
        return read(db)


def give_back(store: Store, pid: int | None) -> None:
    """Free the lease; with a pid only if that process holds it."""
    with store.write() as db:
        db.execute(
            "UPDATE clock SET lease_until_us = NULL, lease_pid = NULL, lease_born = NULL"
            " WHERE ?1 IS NULL OR lease_pid = ?1",
            (pid,),
        )


def move(db: sqlite3.Connection, end: datetime) -> None:
    """Set the clock, inside the transaction that records the tick."""
    db.execute("UPDATE clock SET now_us = ?", (to_us(end),))
    if on_cluster():
        db.execute("UPDATE clock SET lease_born = ? WHERE lease_pid IS NOT NULL", (_now(),))


def _living(pid: int, born: str) -> bool:
    """Whether a lease counts: its process is alive or, in a pod that can't be seen from here, was heard of lately."""
    if not on_cluster():
        return _born(pid) == born
    return time.time() - float(born) < SILENCE_S


def _now() -> str:
    return f"{time.time():.2f}"


def _born(pid: int) -> str | None:
    """When the process was started: process ids are used again."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
