"""A fence: whatever is behind it is dead and stays so, however it was hung and whoever tries to start it again.

Fence before promoting: a primary that merely hangs wakes up as a second one otherwise, and takes writes that are lost.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from archlab.errors import ConflictError, UnavailableError
from archlab.files import write_atomic

FILE = "fenced"
GONE_S = 10.0
_PAUSE_S = 0.005


def raise_fence(folder: Path, reason: str) -> None:
    """Nothing in this folder starts from now on; what runs is not touched."""
    write_atomic(folder / FILE, reason + "\n")


def lower_fence(folder: Path) -> None:
    """It may start again."""
    (folder / FILE).unlink(missing_ok=True)


def refuse_if_fenced(folder: Path) -> None:
    """Whatever starts a process for a folder asks first.

    Raises:
        ConflictError: it is fenced; carries the reason.
    """
    with suppress(FileNotFoundError):
        reason = (folder / FILE).read_text().strip()
        raise ConflictError(f"{folder.name} is fenced: {reason}.", "Let it rejoin as a standby; it may be behind.")


def tree(pids: Iterable[int]) -> list[psutil.Process]:
    """These processes and everything that they started, parents first."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            found |= {p.pid: p for p in (root, *root.children(recursive=True))}
    return list(found.values())


def kill(pids: Iterable[int]) -> None:
    """SIGKILL for whole trees: it also ends what is stopped. Returns when they are gone.

    Raises:
        UnavailableError: one is still there after `GONE_S`.
    """
    doomed = tree(pids)
    send(doomed, signal.SIGKILL)
    if left := wait_gone(doomed, GONE_S):
        raise UnavailableError(f"{left[0].pid} is not gone {GONE_S:g} s after SIGKILL.", "Look for a stuck disk.")


def wait_gone(processes: Iterable[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Those that still run in the end. One that is dead but not reaped (its parent died first) does not run."""
    left, deadline = [p for p in processes if _runs(p)], time.monotonic() + patience_s
    while left and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        left = [p for p in left if _runs(p)]
    return left


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """A signal for each; those that are gone don't matter."""
    for process in processes:
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            os.kill(process.pid, number)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
