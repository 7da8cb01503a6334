"""A lab for proofs: in a home of its own, driven by commands as a learner types them, gone when done."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from archlab.errors import ArchlabError, ConflictError
from archlab.lab import Lab
from archlab.lab.evidence import collect
from archlab.settings import LabFolder, home
from archlab.spec.grading import Evidence
from archlab.spec.plan import Progress

NAME = "check"
COMMAND_S = 900
LAST_LINES = 3
GRACE_S = 10


class CommandError(ArchlabError):
    """A command of a script ended otherwise than it should."""


class Scratch:
    """One lab of a scenario and seed.

    Args:
        root: folder that serves as archlab's home.
        scenario: its name.
        progress: told of every command.
    """

    def __init__(self, root: Path, scenario: str, progress: Progress) -> None:
        self._root = root
        self._scenario = scenario
        self._progress = progress
        self._used = False
        self.lab = Lab(LabFolder(root / NAME))

    @property
    def folder(self) -> Path:
        """The lab's folder."""
        return self.lab.folder.root

    def up(self, seed: int) -> None:
        """Bring it up, new."""
        self.purge()
        self.run(f"archlab up {self._scenario} --lab {NAME} --seed {seed}")
        self.lab = Lab(LabFolder(self._root / NAME))
        self._used = False

    def keep(self) -> None:
        """Make the lab as it stands the one that `restart` returns to."""
        self.lab.target.keep_start()
        self._used = False

    def restart(self) -> None:
        """Back to what was kept: state, rules, tour and gradebook; nothing to do while no command has run since."""
        if not self._used:
            return
        folder = self.lab.folder
        shutil.rmtree(folder.policies, ignore_errors=True)
        for name in ("tour.json", "gradebook.jsonl", "quiz.json"):
            (folder.root / name).unlink(missing_ok=True)
        self.run("archlab reset")
        self._used = False

    def run(self, command: str) -> None:
        """One command, in a shell, as the learner.

        Raises:
            CommandError: it ended with another exit code than 0, or not in time; carries its last lines.
        """
        self._progress(command, "")
        self._used = True
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandError(f"`{command}` did not end within {COMMAND_S} s.") from None
        if done.returncode:
            said = " / ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-LAST_LINES:])
            raise CommandError(f"`{command}` ended with exit code {done.returncode}: {said}")

    def evidence(self) -> Evidence:
        """A picture of the lab."""
        return collect(self.lab)

    def purge(self) -> None:
        """Stop it and delete it; harmless when there is none. Commands that a killed check left running end first."""
        _end(_left_running(self._root))
        if self.lab.folder.identity.exists():
            self.run(f"archlab down --lab {NAME} --purge")
        shutil.rmtree(self.lab.folder.root, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        return {
            **os.environ,
            "PATH": path,
            "ARCHLAB_HOME": str(self._root),
            "ARCHLAB_LAB_NAME": NAME,
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }


def _left_running(root: Path) -> list[psutil.Process]:
    """Commands whose home is this one."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            ours = process.environ().get("ARCHLAB_HOME") == str(root)
            if ours and any(Path(part).name == "archlab" for part in process.cmdline()):
                found.append(process)
    return found


def _end(left: Sequence[psutil.Process]) -> None:
    for process in left:
        with suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(left, timeout=GRACE_S)
    for process in stubborn:
        with suppress(psutil.Error):
            process.kill()


@contextmanager
def scratch(scenario: str, progress: Progress) -> Iterator[Scratch]:
    """A place for one scenario's proof. What an earlier, killed one left behind is removed; so is what this one makes.

    Raises:
        ConflictError: the scenario is being checked already.
    """
    root = home() / "checks" / scenario
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    shared = home() / "cache"
    shared.mkdir(exist_ok=True)
    if not (root / "cache").exists():
        (root / "cache").symlink_to(shared)
    with (root / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConflictError(f"{scenario} is being checked already.", "Wait until that check is done.") from None
        made = Scratch(root, scenario, progress)
        try:
            yield made
        finally:
            made.purge()
