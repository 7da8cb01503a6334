"""One command at a time changes a lab."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from archlab.errors import ConflictError
from archlab.settings import LabFolder

_PAUSE_S = 0.1


@contextmanager
def exclusive(folder: LabFolder, what: str, lock: str = "lock", *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lab's lock; the kernel frees it when the process dies.

    Args:
        folder: the lab's.
        what: the command, for whoever waits.
        lock: which; another one than the usual keeps only its own users apart.
        patience_s: how long to wait for it.

    Raises:
        ConflictError: another command holds it; the message says which.
    """
    folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder.root / lock
    with path.open("a+") as file:
        if not _taken(file, patience_s):
            file.seek(0)
            holder = file.read().strip() or "another command"
            raise ConflictError(f"Lab {folder.name} is busy: {holder}.", "Wait until it is done, or stop it.") from None
        file.seek(0)
        file.truncate()
        file.write(f"archlab {what} (pid {os.getpid()})")
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def _taken(file: IO[str], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True


def is_held(folder: LabFolder) -> bool:
    """Whether another command changes the lab right now.

    The lock is only tried when it says who has it: a try must not be what keeps somebody else from it.
    """
    path = folder.root / "lock"
    try:
        if not path.read_text().strip():
            return False
        with path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)  # whoever had it was killed
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
