"""Control as itself, started in milliseconds, so that it can be killed often: what takes long is importing.

Each line on standard input, a number, forks a process that serves the lab ARCHLAB_LAB with its host's clock moved by so
many seconds; its id is printed.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

CLOCKS = ("archlab.", "jwt.")
"""Packages that are told the moved time: control's own, and what tokens are checked with."""


def move_clock(offset_s: float) -> None:
    """Set this process's clock: `time.time`, and `datetime.now`, which does not go by it."""
    real = time.time
    time.time = lambda: real() + offset_s

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=offset_s)

    for module in list(sys.modules.values()):
        if module.__name__.startswith(CLOCKS) and vars(module).get("datetime") is datetime:
            vars(module)["datetime"] = Moved


def serve(socket: Path, offset_s: float) -> None:
    """Control, until it is killed."""
    import uvicorn

    from archlab.control.app import app

    move_clock(offset_s)
    uvicorn.run(app, uds=str(socket), access_log=False, log_level="warning")


def main() -> None:
    """Fork on request."""
    import signal

    import uvicorn  # noqa: F401

    import archlab.control.app  # noqa: F401
    from archlab.settings import LabFolder

    socket = LabFolder.from_environment().socket("control")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            serve(socket, float(line))
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
