"""Waiting for what a testbed's processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

from archlab.errors import TargetError

READY_S = 30.0
_PAUSE_S = 0.02


def wait(
    condition: Callable[[], bool], what: str, log: Callable[[], tuple[str, ...]], within_s: float = READY_S
) -> None:
    """Return when a condition holds.

    Raises:
        TargetError: not in time; carries the log's end.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise TargetError(f"Nothing of {what} after {within_s:g} s.", log_tail=log())
        time.sleep(_PAUSE_S)
