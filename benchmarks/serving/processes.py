"""Server processes: started on their core, measured with everything below them, ended for certain."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from .machine import on

_POLL_S = 0.005
_GRACE_S = 10.0


class NotStartedError(Exception):
    """A server ended, or didn't answer in time; carries the end of its log."""


@dataclass(frozen=True)
class Memory:
    """Bytes of a process tree. RSS counts a shared page in every process; PSS, where it can be read, once."""

    rss: int
    pss: int | None
    processes: int


@dataclass(frozen=True)
class Command:
    """How to start a server."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


class Server:
    """One running server and the processes below it."""

    def __init__(self, command: Command, log: Path, cores: frozenset[int]) -> None:
        self.log = log
        self._started = time.perf_counter()
        with log.open("wb") as output, on(cores):
            self._process = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(command.environment),
                cwd=command.folder,
                start_new_session=True,
            )

    def wait(self, answers: Callable[[], bool], deadline_s: float = 90.0) -> float:
        """Seconds from the start until `answers` says yes.

        Raises:
            NotStartedError: it ended before, or took longer than the deadline.
        """
        while not answers():
            ended = self._process.poll()
            if ended is not None or time.perf_counter() - self._started > deadline_s:
                what = f"ended with {ended}" if ended is not None else f"gave no answer in {deadline_s:.0f} s"
                raise NotStartedError(f"the server {what}; its log ends with: {self.last_words()}")
            time.sleep(_POLL_S)
        return time.perf_counter() - self._started

    def last_words(self) -> str:
        """The end of the log, on one line."""
        return " ".join(self.log.read_text(errors="replace").split())[-1500:]

    def family(self) -> list[psutil.Process]:
        """The process and all below it."""
        try:
            root = psutil.Process(self._process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_s(self) -> float:
        """CPU time of the family so far."""
        total = 0.0
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def memory(self) -> Memory:
        """Memory of the family now."""
        rss = pss = count = 0
        readable = True
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                rss += process.memory_info().rss
                count += 1
                share = getattr(process.memory_full_info(), "pss", None)
                readable = readable and share is not None
                pss += share or 0
        return Memory(rss, pss if readable else None, count)

    def stop(self) -> None:
        """SIGTERM to the server; whatever of its family is left after the grace is killed."""
        family = self.family()
        if self._process.poll() is None:
            self._process.terminate()
        _, left = psutil.wait_procs(family, timeout=_GRACE_S)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()


def free_port() -> int:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
