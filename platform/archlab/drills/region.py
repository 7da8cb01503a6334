"""What a drill asks of a region, wherever it is: on this machine, or in a pod of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from archlab.drills.keeping import Kept
from archlab.recovery.asked import Asked
from archlab.recovery.shaping import Shape

REGIONS = ("east", "west")


class Strike(NamedTuple):
    """A fault that is about to happen: whatever it needs is found beforehand."""

    detail: str
    """What it does, for the report."""
    act: Callable[[], None]


class Region(Protocol):
    """One region: a Postgres, a service in front of it, and the line over which it follows the other region.

    Every method raises UnavailableError when the region does not answer, and what the part that it is about raises: see
    `archlab.recovery`.
    """

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def server(self) -> Asked:
        """Its database, to be asked."""

    @property
    def kept(self) -> Kept:
        """Backups of its database, and the archive of its log."""

    def open_line(self) -> None:
        """Start the line over which its database follows the other one."""

    def await_line(self) -> None:
        """Return when the line is there."""

    def shape(self, shape: Shape, *, drop: bool = False) -> None:
        """Tell the line what to do, and whether to lose what is on it."""

    def create(self) -> None:
        """An empty database that stands alone; it is not started."""

    def copy(self) -> None:
        """A copy of the other region's database, configured to follow it; it is not started."""

    def configure(self, synchronous: Sequence[str] = ()) -> None:
        """Have the database stand alone, its commits waiting for one of these; in force at once."""

    def start_database(self) -> None:
        """Start the database as it is configured."""

    def stop_database(self) -> None:
        """End it in order."""

    def leave(self) -> str:
        """End it in order as a primary; position of what it wrote last of all."""

    def fence_database(self, reason: str) -> None:
        """Kill it, and keep it from starting."""

    def follow_again(self) -> str:
        """Make a database that stands still follow the other one, and let it start; returns how."""

    def start_service(self) -> None:
        """Start the service, unless the region is fenced."""

    def end_service(self) -> None:
        """Kill it."""

    def kill(self) -> None:
        """Everything in it dies at once, hung or not; returns when it is dead."""

    def fence(self, reason: str) -> None:
        """Nothing runs in it when this returns, and nothing starts there, whoever tries."""

    def revive(self) -> None:
        """What it runs on is there again after a kill or a fence; a fence around its database stays."""

    def lower_fence(self) -> None:
        """Its database may start."""

    def aim(self) -> Strike:
        """At everything in it: it dies at once."""

    def aim_at_database(self) -> Strike:
        """At its database alone."""

    def aim_to_hang(self) -> Strike:
        """At its database and what is in front of it: they stop where they are, and keep their connections."""

    def says(self) -> str:
        """What its service says to whoever asks it."""

    def words(self, process: str) -> tuple[str, ...]:
        """The end of a process's log."""
