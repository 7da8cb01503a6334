"""What the numbers were taken on, and which cores the two sides have."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

_CLOCK = "%Y-%m-%d %H:%M UTC"


@dataclass(frozen=True)
class Cores:
    """Core numbers of client and servers; empty where nothing is pinned."""

    client: frozenset[int] = frozenset()
    server: frozenset[int] = frozenset()

    def __str__(self) -> str:
        if not self.server:
            return "client and servers share all cores (nothing is pinned)"
        client, server = (",".join(map(str, sorted(side))) for side in (self.client, self.server))
        return f"every server, with all its processes and threads, on core {server}; the client on core {client}"


def split(pin: bool = True) -> Cores:
    """The last core for the client and the first for the servers, where the system can pin and has two."""
    if not pin or not hasattr(os, "sched_getaffinity"):
        return Cores()
    cores = sorted(os.sched_getaffinity(0))
    return Cores(frozenset({cores[-1]}), frozenset({cores[0]})) if len(cores) > 1 else Cores()


@contextlib.contextmanager
def on(cores: frozenset[int]) -> Iterator[None]:
    """This thread on these cores for a while; a process started inside stays on them."""
    if sys.platform == "darwin" or not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Machine:
    """Where and when a run took place."""

    date: str
    processor: str
    cores: int
    memory_gb: int
    system: str
    load_before: tuple[float, float, float]
    """Runnable processes on average, over 1, 5 and 15 minutes, before anything was started."""

    def __str__(self) -> str:
        load = ", ".join(f"{value:.2f}" for value in self.load_before)
        return (
            f"{self.date}; {self.cores} cores ({self.processor}), {self.memory_gb} GB, {self.system}; "
            f"load before the run {load} (1, 5, 15 min)"
        )

    def document(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def look() -> Machine:
    """This machine, now."""
    return Machine(
        date=datetime.now(UTC).strftime(_CLOCK),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9),
        system=f"{platform.system()} {platform.machine()}",
        load_before=psutil.getloadavg(),
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"
