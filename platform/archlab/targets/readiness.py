"""Waits until replicas are ready; one that keeps dying is reported at once, with its last words."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from archlab.errors import TargetError
from archlab.settings import LabFolder
from archlab.spec.plan import Progress, Role
from archlab.targets.commands import Health, Program
from archlab.targets.logs import tail
from archlab.targets.ports import ADDRESS
from archlab.targets.supervision import Supervisor
from archlab.unixhttp import UnixConnection, ask

PATIENCE_S = 90.0
PROBE_S = 1.0
DEATHS = 2
"""A replica that ended this often while it was waited for won't come up by itself."""
TOO_QUICK = "Exited too quickly"
"""supervisord's words for a program that ran but not for long; any other words mean that it could not be run at all."""
_PAUSE_S = 0.05


def probe(health: Health) -> bool:
    """Whether a replica says that it is ready."""
    if not health.paths:
        return _takes_connections(health.socket)
    return any(_ok(UnixConnection(health.socket, PROBE_S), path) for path in health.paths)


def _takes_connections(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as plug:
        plug.settimeout(PROBE_S)
        try:
            plug.connect(str(path))
        except OSError:
            return False
    return True


def answers(port: int, path: str) -> bool:
    """Whether a path answers 200 on a port of the loopback interface."""
    return _ok(http.client.HTTPConnection(ADDRESS, port, timeout=PROBE_S), path)


def _ok(connection: http.client.HTTPConnection, path: str) -> bool:
    try:
        status, _ = ask(connection, "GET", path)
    except (OSError, http.client.HTTPException):
        return False
    return status == http.HTTPStatus.OK


def ready(programs: Collection[Program]) -> set[str]:
    """Names of those that are ready now; asked side by side."""
    if not programs:
        return set()
    with ThreadPoolExecutor(max_workers=min(8, len(programs))) as pool:
        found = zip(programs, pool.map(lambda p: probe(p.command.health), programs), strict=True)
        return {program.name for program, up in found if up}


def wait_ready(
    programs: Collection[Program],
    supervisor: Supervisor,
    folder: LabFolder,
    progress: Progress,
    *,
    patience_s: float = PATIENCE_S,
) -> None:
    """Return when every one of the programs is ready.

    Raises:
        TargetError: one gave up, keeps dying, or is not ready in time.
    """
    watch = _Watch(folder)
    waiting = {program.name: program for program in programs}
    deadline = time.monotonic() + patience_s
    while True:
        for name in sorted(ready(waiting.values())):
            del waiting[name]
            progress("start", f"{name} is ready ({len(programs) - len(waiting)} of {len(programs)})")
        if not waiting:
            return
        watch.check(waiting, supervisor)
        if time.monotonic() > deadline:
            raise failure(next(iter(waiting.values())), folder, f"is not ready after {patience_s:g} s")
        time.sleep(_PAUSE_S)


def wait_answer(port: int, path: str, folder: LabFolder, gateway: Program, *, patience_s: float = PATIENCE_S) -> None:
    """Return when a path of the gateway answers."""
    deadline = time.monotonic() + patience_s
    while not answers(port, path):
        if time.monotonic() > deadline:
            raise failure(gateway, folder, f"does not answer {path} on port {port}")
        time.sleep(_PAUSE_S)


def failure(program: Program, folder: LabFolder, what: str) -> TargetError:
    """The error for a replica that does not come up."""
    unit = program.unit.name
    return TargetError(
        f"{program.name} {what}.",
        f"See: archlab logs {unit}",
        unit=unit,
        log_tail=tail(folder.log / f"{program.name}.log", 20),
    )


class _Watch:
    """Counts how often waited-for programs ended, by their changing process ids."""

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder
        self._pids: dict[str, int] = {}
        self._deaths: dict[str, int] = {}

    def check(self, waiting: dict[str, Program], supervisor: Supervisor) -> None:
        found = supervisor.processes()
        for name, program in waiting.items():
            process = found.get(name)
            if process is None:
                raise failure(program, self._folder, "is not known to supervisord")
            self._count(name, process.pid)
            never = process.state == "BACKOFF" and not process.description.startswith(TOO_QUICK)
            if never or process.state == "FATAL" or self._deaths.get(name, 0) >= DEATHS:
                raise failure(program, self._folder, f"does not start ({process.description.lower()})")

    def _count(self, name: str, pid: int) -> None:
        before = self._pids.get(name, 0)
        if before and pid != before:
            self._deaths[name] = self._deaths.get(name, 0) + 1
        self._pids[name] = pid or 0


def only(programs: Iterable[Program], role: Role) -> Program | None:
    """The first program of a role."""
    return next((p for p in programs if p.unit.role is role), None)
