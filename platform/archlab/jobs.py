"""How a job talks to whoever started it: one JSON object per line on standard output."""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from archlab.errors import ArchlabError

Report = Callable[..., None]
"""report(step, detail="", done=0, total=0)."""


class InterruptedJobError(ArchlabError):
    """The job was asked to stop (SIGINT, SIGTERM); running it again continues."""

    exit_code = 1


def report(step: str, detail: str = "", done: int = 0, total: int = 0) -> None:
    """Tell the caller how far the job is."""
    emit({"step": step, "detail": detail, "done": done, "total": total})


def main(run: Callable[[list[str]], dict[str, Any]]) -> None:
    """Run a job's body with the command line's arguments; print its result or its error; exit accordingly."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        emit({"result": run(sys.argv[1:]), "peak_rss_bytes": peak_rss_bytes()})
    except ArchlabError as error:
        emit({"error": error.message, "remedy": error.remedy, "kind": type(error).__name__})
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        logging.exception("job failed")
        emit(
            {"error": f"{type(error).__name__}: {error}", "remedy": "The job's log has the traceback.", "kind": "Crash"}
        )
        raise SystemExit(3) from error


def emit(record: dict[str, Any]) -> None:
    """Say something to whoever started the job: one line."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def peak_rss_bytes() -> int:
    """Highest resident memory of this process. The kernel's `ru_maxrss` would count what it was forked from."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _stop(signum: int, _frame: FrameType | None) -> None:
    raise InterruptedJobError(f"Stopped by {signal.Signals(signum).name}.", "Run the command again to continue.")
