"""What a command does once, or again and again until ^C."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import typer

from archlab.cli.console import console

EveryOption = Annotated[
    float | None, typer.Option(min=1, help="Again every so many seconds, until ^C; at once the first time.")
]
NO_MORE = "No more backups are taken."


def scheduled(take: Callable[[], object], every_s: float | None, no_more: str) -> None:
    """Do something once, or on a schedule.

    Args:
        take: what.
        every_s: seconds between two beginnings; None: once.
        no_more: what is said after ^C.
    """
    from archlab.recovery.backups import repeat

    if every_s is None:
        take()
        return
    try:
        repeat(take, every_s, _slept)
    except KeyboardInterrupt:
        console.print(no_more)


def _slept(seconds: float) -> bool:
    time.sleep(max(0.0, seconds))
    return False
