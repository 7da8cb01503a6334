"""The processes of a testbed, or of a region of one: started under a name, ended by it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence

from archlab.recovery import fencing
from archlab.settings import LabFolder
from archlab.targets import processes
from archlab.targets.logs import tail

ENDS_S = 30.0


class Running:
    """Processes that work in a folder and log into it."""

    def __init__(self, folder: LabFolder) -> None:
        self.folder = folder
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str], **env: str) -> None:
        """Start one; what is in `env` it has beside what all inherit."""
        with (self.folder.log / f"{name}.log").open("ab") as log:
            self._started[name] = subprocess.Popen(
                argv,
                env={**self.environment(name), **env},
                cwd=self.folder.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
            )

    def end(self, name: str) -> None:
        """Kill it, hung or not. Harmless when it was not started."""
        if process := self._started.pop(name, None):
            fencing.kill([process.pid])
            process.wait()

    def stop(self, name: str) -> None:
        """Let it finish what it does. Harmless when it was not started."""
        if process := self._started.pop(name, None):
            process.terminate()
            process.wait(timeout=ENDS_S)

    def end_all(self) -> None:
        """Kill whatever was started."""
        for name in list(self._started):
            self.end(name)

    def pids(self, names: Iterable[str]) -> list[int]:
        """Of those that were started."""
        return [self._started[name].pid for name in names if name in self._started]

    def words(self, name: str) -> tuple[str, ...]:
        """The end of its log."""
        return tail(self.folder.log / f"{name}.log", 15)

    def environment(self, name: str) -> dict[str, str]:
        """What a process inherits; it says whose it is."""
        return processes.environment(os.environ, self.folder.root, name)
