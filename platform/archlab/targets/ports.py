"""Which TCP ports are free, and who holds one that is not."""

from __future__ import annotations

import socket
from collections.abc import Collection

import psutil

from archlab.errors import ConflictError

ADDRESS = "127.0.0.1"
ATTEMPTS = 100


def is_free(port: int) -> bool:
    """Whether a listener could be opened on the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def free_port(preferred: int, promised: Collection[int] = ()) -> int:
    """The first free port from `preferred` on that is not promised to somebody who does not listen yet.

    Raises:
        ConflictError: none of the next hundred is free.
    """
    for port in range(preferred, min(preferred + ATTEMPTS, 65536)):
        if port not in promised and is_free(port):
            return port
    raise ConflictError(
        f"No port from {preferred} to {preferred + ATTEMPTS - 1} is free on {ADDRESS}.", "Name another with --port."
    )


def holder(port: int) -> str | None:
    """Name and process id of who listens on a port; None when it is free."""
    if is_free(port):
        return None
    process = _listener(port)
    if process is None:
        return "a process of another user"
    try:
        return f"{process.name()} (pid {process.pid})"
    except psutil.Error:
        return f"pid {process.pid}"


def listens(pid: int, port: int) -> bool:
    """Whether a process listens on a port."""
    try:
        sockets = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(s.status == psutil.CONN_LISTEN and s.laddr and s.laddr.port == port for s in sockets)


def taken(port: int) -> ConflictError:
    """The error for a port that the lab needs and somebody else holds."""
    return ConflictError(f"Port {port} is held by {holder(port)}.", "Stop it, or bring the lab up with --port.")


def _listener(port: int) -> psutil.Process | None:
    return next((p for p in psutil.process_iter() if listens(p.pid, port)), None)
