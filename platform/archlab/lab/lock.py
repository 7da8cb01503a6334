"""One command at a time changes a lab."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from archlab.errors import ConflictError
from archlab.settings import LabFolder


@contextmanager
def exclusive(folder: LabFolder, what: str) -> Iterator[None]:
    """Hold the lab's lock; the kernel frees it when the process dies.

    Raises:
        ConflictError: another command holds it; the message says which.
    """
    folder.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder.root / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
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
