"""A job that does what its first argument says."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from archlab import jobs
from archlab.errors import SpecError


def run(args: list[str]) -> dict[str, Any]:
    match args:
        case ["work", number]:
            jobs.report("half", "way", 1, 2)
            sys.stdout.write("not a report\n")
            sys.stderr.write("a warning\n")
            ballast = bytearray(150 << 20)
            return {
                "twice": 2 * int(number),
                "lab": os.environ["ARCHLAB_LAB"],
                "kept": len(ballast),
                "env": dict(os.environ),
            }
        case ["user-error"]:
            raise SpecError("The file is wrong.", "Mend it.")
        case ["crash"]:
            raise ZeroDivisionError("by zero")
        case ["vanish"]:
            sys.stderr.write("last words\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        case ["silent"]:
            os._exit(0)
        case ["wait"]:
            jobs.report("waiting")
            threading.Event().wait(60)
        case ["stubborn"]:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            jobs.report("waiting")
            threading.Event().wait(60)
    return {}


if __name__ == "__main__":
    jobs.main(run)
