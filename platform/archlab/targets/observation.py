"""Every replica as it is: supervisord's word, the replica's own, and what the system counts."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil

from archlab.errors import UnavailableError
from archlab.settings import LabFolder
from archlab.spec.plan import Observation, Replica, ReplicaState
from archlab.targets.readiness import probe
from archlab.targets.supervision import Process, Supervisor
from archlab.targets.topology import Member, Topology, health

INTERVAL_S = 0.2
"""Over which CPU use is measured."""
_ENDED = re.compile(r"INFO exited: (\S+) \(|WARN exited: (\S+) \(")
_ALIVE = frozenset({"STARTING", "RUNNING", "STOPPING"})


def observe(folder: LabFolder, supervisor: Supervisor) -> Observation:
    """All replicas of the plan applied last, and any that run beyond it."""
    try:
        found = supervisor.processes()
    except UnavailableError:
        found = {}
    members = {m.name: m for m in Topology.read(folder).members}
    restarts = _restarts(folder)
    usage = _usage({name: p.pid for name, p in found.items() if p.state in _ALIVE and p.pid})
    up = _ready([m for m in members.values() if m.name in usage])
    names = [*members, *(name for name in sorted(found) if name not in members)]
    return Observation(
        replicas=tuple(
            _replica(name, members.get(name), found.get(name), name in up, restarts.get(name, 0), usage.get(name))
            for name in names
        )
    )


def _replica(
    name: str,
    member: Member | None,
    process: Process | None,
    ready: bool,
    restarts: int,
    usage: tuple[float, int] | None,
) -> Replica:
    unit, _, index = name.rpartition("-")
    cpu_percent, rss_bytes = usage or (0.0, 0)
    return Replica(
        unit=member.unit if member else unit,
        index=member.index if member else int(index),
        state=_state(process, ready),
        team=member.team if member else "platform",
        pid=process.pid if process and process.pid else None,
        restarts=restarts,
        cpu_percent=cpu_percent,
        rss_bytes=rss_bytes,
        detail=process.description if process else "supervisord is not running",
        region=member.region if member else "",
    )


def _state(process: Process | None, ready: bool) -> ReplicaState:
    if process is None or process.state in {"STOPPED", "STOPPING"}:
        return ReplicaState.STOPPED
    if process.state in {"FATAL", "EXITED", "BACKOFF"}:
        return ReplicaState.FAILED
    return ReplicaState.READY if ready else ReplicaState.STARTING


def _ready(members: list[Member]) -> set[str]:
    with ThreadPoolExecutor(max_workers=8) as pool:
        return {m.name for m, up in zip(members, pool.map(lambda m: probe(health(m)), members), strict=True) if up}


def _usage(pids: dict[str, int]) -> dict[str, tuple[float, int]]:
    """CPU in percent of one core and resident memory of each process with its children."""
    families = {name: _family(pid) for name, pid in pids.items()}
    before = {name: sum(map(_cpu_seconds, family)) for name, family in families.items()}
    started = time.monotonic()
    if families:
        time.sleep(INTERVAL_S)
    elapsed = max(time.monotonic() - started, INTERVAL_S)
    return {
        name: (
            round(max(0.0, sum(map(_cpu_seconds, family)) - before[name]) / elapsed * 100, 1),
            sum(map(_rss_bytes, family)),
        )
        for name, family in families.items()
    }


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _rss_bytes(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _restarts(folder: LabFolder) -> dict[str, int]:
    """How often each program ended by itself since supervisord started, by supervisord's own log."""
    try:
        text = (folder.log / "supervisord.log").read_text(errors="replace")
    except OSError:
        return {}
    counts: dict[str, int] = {}
    for match in _ENDED.finditer(text.rpartition("supervisord started with pid")[2]):
        name = match.group(1) or match.group(2)
        counts[name] = counts.get(name, 0) + 1
    return counts
