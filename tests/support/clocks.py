"""Time as a test lets it pass: both clocks of a machine, and a lab's days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from archlab.grading.moments import Moment
from archlab.spec.grading import Evidence
from synthetic import World


class Clocks:
    """Both clocks, as a test sets them."""

    def __init__(self) -> None:
        self.boot = "boot-1"
        self.wall = datetime(2026, 3, 1, 9, tzinfo=UTC)
        self.uptime = timedelta(hours=5)

    def now(self) -> Moment:
        """As set."""
        return Moment(self.wall, self.boot, int(self.uptime.total_seconds() * 1000))

    def run(self, minutes: float) -> None:
        """Let time pass."""
        self.wall += timedelta(minutes=minutes)
        self.uptime += timedelta(minutes=minutes)

    def set_wall(self, minutes: float) -> None:
        """Set the wall clock on or back."""
        self.wall += timedelta(minutes=minutes)

    def restart(self, minutes: float) -> None:
        """Switch the machine off; it is up again after so long."""
        self.boot += "+"
        self.wall += timedelta(minutes=minutes)
        self.uptime = timedelta(seconds=20)


class Laboratory:
    """A lab whose days a test lets pass."""

    def __init__(self) -> None:
        self.days = 0
        self.seed = 1
        self.taken = 0

    def collect(self) -> Evidence:
        """Evidence as it is now."""
        self.taken += 1
        world = World(seed=self.seed)
        return world.evidence([world.day(n) for n in range(self.days)])
