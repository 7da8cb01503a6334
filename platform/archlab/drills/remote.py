"""A region that an agent works in: everything is asked of the agent, over whatever way leads to it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from archlab.drills.keeping import Verified
from archlab.drills.region import Strike
from archlab.errors import UnavailableError
from archlab.recovery.asked import Answering
from archlab.recovery.shaping import Shape
from archlab.spec.backup import Backup

QUICK_S, LONG_S = 10.0, 180.0
"""How long an answer may take: what asks, and what copies, restores or starts a database."""
WAY_S = 1.0
"""To the agent and back, beside what a statement may take."""


class Agent(Protocol):
    """The way to a region's agent."""

    def call(self, what: str, within_s: float, **arguments: Any) -> Any:
        """What it answers in that time.

        Raises:
            UnavailableError: it does not answer.
            ArchlabError: of the kind that it met.
        """


class Host(Protocol):
    """What a region runs on, and what can be done to it from outside."""

    def strike(self) -> Strike:
        """Everything in it dies, and nothing starts there."""

    def fence(self, reason: str) -> None:
        """Nothing runs there when this returns, and nothing starts, whoever tries."""

    def revive(self) -> bool:
        """It is there again, and the agent answers; whether it was gone."""


@dataclass(frozen=True, slots=True)
class RemoteServer(Answering):
    """A region's database; see `archlab.recovery.asked.Asked`."""

    name: str
    agent: Agent

    def ask(self, sql: str, *, timeout_s: float = 10.0, **values: Any) -> list[list[Any]]:
        """Rows that a statement gives."""
        rows: list[list[Any]] = self.agent.call("ask", timeout_s + WAY_S, sql=sql, timeout_s=timeout_s, values=values)
        return rows

    def last_words(self) -> tuple[str, ...]:
        """The end of its log; empty when nobody can read it."""
        try:
            return tuple(self.agent.call("last_words", QUICK_S))
        except UnavailableError:
            return ()


@dataclass(frozen=True, slots=True)
class RemoteKept:
    """What is kept of a region's database; see `archlab.drills.keeping.Kept`."""

    agent: Agent

    def all(self) -> tuple[Backup, ...]:
        """Its backups, oldest first."""
        return tuple(Backup.model_validate(found) for found in self.agent.call("kept.all", QUICK_S))

    def take(self) -> Backup:
        """Back it up."""
        return Backup.model_validate(self.agent.call("kept.take", LONG_S))

    def prune(self, keep: int) -> tuple[str, ...]:
        """Let the oldest go."""
        return tuple(self.agent.call("kept.prune", LONG_S, keep=keep))

    def spoil(self) -> Backup:
        """Flip one bit in the newest one."""
        return Backup.model_validate(self.agent.call("kept.spoil", QUICK_S))

    def verify(self) -> tuple[Verified, ...]:
        """Restore every backup and compare."""
        found = self.agent.call("kept.verify", LONG_S)
        return tuple(Verified(Backup.model_validate(backup), alert) for backup, alert in found)

    def open(self) -> Backup:
        """Open what a restore begins with."""
        return Backup.model_validate(self.agent.call("kept.open", LONG_S))

    def archive_now(self) -> None:
        """Hand over what was written up to now."""
        self.agent.call("kept.archive_now", LONG_S)

    def restore(self, until: datetime) -> None:
        """From the opened backup and the archive."""
        self.agent.call("kept.restore", LONG_S, until=until.isoformat())


class RemoteRegion:
    """A region somewhere else; see `archlab.drills.region.Region`.

    Args:
        name: what it is called.
        agent: the way to its agent.
        host: what it runs on.
    """

    def __init__(self, name: str, agent: Agent, host: Host) -> None:
        self.name = name
        self.server = RemoteServer(name, agent)
        self.kept = RemoteKept(agent)
        self._agent, self._host = agent, host
        self._shape = Shape()
        self._there = threading.Event()
        self._there.set()

    def open_line(self) -> None:
        """Start the link in its pod."""
        self._agent.call("open_line", LONG_S)

    def await_line(self) -> None:
        """Return when the link answers."""
        self._agent.call("await_line", LONG_S)

    def shape(self, shape: Shape, *, drop: bool = False) -> None:
        """Tell its end of the line what to do. When the region is dead, so is its line: the next one is told."""
        self._shape = shape
        if self._there.is_set():
            self._agent.call("shape", QUICK_S, shape=shape.model_dump(mode="json"), drop=drop)

    def create(self) -> None:
        """An empty database."""
        self._agent.call("create", LONG_S)

    def copy(self) -> None:
        """A copy of the other region's database."""
        self._agent.call("copy", LONG_S)

    def configure(self, synchronous: Sequence[str] = ()) -> None:
        """Configure the database, and have it read that."""
        self._agent.call("configure", QUICK_S, synchronous=list(synchronous))

    def start_database(self) -> None:
        """Start the database as it is configured."""
        self._agent.call("start_database", LONG_S)

    def stop_database(self) -> None:
        """End it in order."""
        self._agent.call("stop_database", LONG_S)

    def leave(self) -> str:
        """End it in order; its last checkpoint."""
        return str(self._agent.call("leave", LONG_S))

    def fence_database(self, reason: str) -> None:
        """Kill it, and keep it from starting."""
        self._agent.call("fence_database", LONG_S, reason=reason)

    def follow_again(self) -> str:
        """Rewind it, or copy it anew."""
        return str(self._agent.call("follow_again", LONG_S))

    def start_service(self) -> None:
        """Start the service."""
        self._agent.call("start_service", QUICK_S)

    def end_service(self) -> None:
        """Kill the service."""
        self._agent.call("end_service", QUICK_S)

    def kill(self) -> None:
        """Its pods die, and are not replaced."""
        self.fence("it is killed")

    def fence(self, reason: str) -> None:
        """Its pods die, and are not replaced, whoever tries; returns when they are gone."""
        self._there.clear()
        self._host.fence(reason)

    def revive(self) -> None:
        """A pod is there again, with its data and an end of the line; no database and no service run in it.

        Harmless where nothing was lost.
        """
        if self._host.revive():
            self._there.set()
            self.open_line()
            self.await_line()
            self.shape(self._shape)

    def lower_fence(self) -> None:
        """Its database may start."""
        self._agent.call("lower_fence", QUICK_S)

    def aim(self) -> Strike:
        """At its pods."""
        strike = self._host.strike()

        def act() -> None:
            self._there.clear()
            strike.act()

        return Strike(strike.detail, act)

    def aim_at_database(self) -> Strike:
        """At its database's processes."""
        return Strike("SIGKILL for all its processes", lambda: self._agent.call("kill_database", QUICK_S))

    def aim_to_hang(self) -> Strike:
        """At its database's and its service's processes. The agent and the line go on: callers reach neither."""
        return Strike("SIGSTOP for its database and its service", lambda: self._agent.call("hang", QUICK_S))

    def says(self) -> str:
        """What its service says, as its agent hears it."""
        try:
            return str(self._agent.call("says", QUICK_S))
        except UnavailableError:
            return "nothing there answers"

    def words(self, process: str) -> tuple[str, ...]:
        """The end of a process's log."""
        try:
            return tuple(self._agent.call("words", QUICK_S, process=process))
        except UnavailableError:
            return ()
