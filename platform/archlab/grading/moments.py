"""When something happened, by two clocks: the wall's, which anyone can set, and the time since boot."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Protocol

TOLERANCE_S = 30
"""Within one boot the two clocks may differ by this much before it is worth a word (time servers step clocks)."""


class Timed(Protocol):
    """Anything that says when it happened."""

    @property
    def wall_time(self) -> datetime:
        """The wall clock."""

    @property
    def boot(self) -> str:
        """Which boot of the machine."""

    @property
    def uptime_ms(self) -> int:
        """Since that boot."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, by both clocks."""

    wall_time: datetime
    boot: str
    uptime_ms: int


Now = Callable[[], Moment]


def now() -> Moment:
    """This moment. Where the system names no boot the time since boot is still a lower bound."""
    return Moment(datetime.now(UTC), _boot(), int(time.clock_gettime(_clock()) * 1000))


def between(earlier: Timed, later: Timed) -> timedelta:
    """Time that passed, never less than can be proven.

    Within one boot it is the difference of the times since boot, whatever the wall clock was set to. Across boots it is
    the wall clock's difference, but at least the time since the later boot.
    """
    if earlier.boot and earlier.boot == later.boot:
        return timedelta(milliseconds=max(0, later.uptime_ms - earlier.uptime_ms))
    since_boot = timedelta(milliseconds=later.uptime_ms) if later.boot else timedelta(0)
    return max(later.wall_time - earlier.wall_time, since_boot, timedelta(0))


def irregularities(moments: Sequence[Timed]) -> tuple[str, ...]:
    """What the clocks show that an instructor would want to know: a clock set back or on, a restart."""
    found: list[str] = []
    for a, b in pairwise(moments):
        wall = (b.wall_time - a.wall_time).total_seconds()
        at = f"{b.wall_time:%Y-%m-%d %H:%M:%S}Z"
        if a.boot and a.boot == b.boot:
            off = wall - (b.uptime_ms - a.uptime_ms) / 1000
            if abs(off) > TOLERANCE_S:
                found.append(f"{at}: the wall clock was set {'on' if off > 0 else 'back'} by {abs(off):.0f} s.")
        elif wall < 0:
            found.append(f"{at}: the machine was restarted and its wall clock set back by at least {-wall:.0f} s.")
        else:
            found.append(f"{at}: the machine was restarted; {wall:.0f} s are taken from the wall clock.")
    return tuple(found)


def _clock() -> int:
    """The clock that counts sleep as well: BOOTTIME on Linux; macOS's MONOTONIC does."""
    return getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@cache
def _boot() -> str:
    """A digest of the system's identifier of this boot."""
    found = _boot_id()
    return sha256(found.encode()).hexdigest()[:16] if found else ""


def _boot_id() -> str:
    try:
        if sys.platform == "darwin":
            return subprocess.check_output(["sysctl", "-n", "kern.bootsessionuuid"], text=True, timeout=5).strip()
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, subprocess.SubprocessError):
        return ""
