"""A scenario's load, driven by locust in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlab import identity
from archlab.errors import ArchlabError, NotFoundError
from archlab.lab.lab import Lab
from archlab.spec.scenario import User

MOST_S = 3600
PATIENCE_S = 120
"""Beyond the run itself: preparing requests, waiting for the slowest answers."""


def script_of(lab: Lab) -> Path:
    """The scenario's load.py, or that of its business.

    Raises:
        NotFoundError: neither has one.
    """
    package = importlib.util.find_spec(f"archlab_scenarios.{lab.declared.business}")
    folders = [lab.content, *(Path(place) for place in (package and package.submodule_search_locations) or ())]
    for folder in folders:
        if (script := folder / "load.py").exists():
            return script
    raise NotFoundError(f"Neither scenario {lab.identity.scenario} nor its business has a load.py.")


def prepared(lab: Lab, script: Path) -> Path:
    """Have the scenario write its requests ahead, so that a run's time is spent on asking; where they are.

    Raises:
        ArchlabError: they could not be made; carries what the script said.
    """
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment(lab, 1.0),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    said = done.stdout.strip().splitlines()
    if done.returncode or not said:
        raise ArchlabError(f"The load's requests could not be made: {done.stderr.strip()[-300:]}")
    return Path(said[-1])


def drive(
    lab: Lab, script: Path, users: int, seconds: int, per_user: float, extra: dict[str, str] | None = None
) -> dict[str, Any]:
    """Offer `users` times `per_user` requests per second; exact figures per model as `load.py` writes them.

    Args:
        lab: a running lab.
        script: a locust file.
        users: callers at once.
        seconds: how long.
        per_user: requests per second of each.
        extra: further environment variables.

    Raises:
        ArchlabError: the load could not run; carries its last words.
    """
    run = _Run.of(lab, "load")
    process = run.start(lab, script, users, seconds, per_user, extra or {})
    try:
        process.wait(timeout=seconds + PATIENCE_S)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        process.terminate()
        process.wait(timeout=30)
        raise
    return run.figures()


@contextmanager
def beside(
    lab: Lab, script: Path, users: int, per_user: float, extra: dict[str, str], figures: dict[str, Any]
) -> Iterator[None]:
    """The same load in the background, from its first request on; its figures are in `figures` after the end.

    Raises:
        ArchlabError: it could not run; carries its last words.
    """
    run = _Run.of(lab, "noise")
    process = run.start(lab, script, users, MOST_S, per_user, extra)
    try:
        _until_started(run, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    figures.update(run.figures())


@dataclass(frozen=True, slots=True)
class _Run:
    """Where one run of locust leaves what it says."""

    log: Path
    result: Path
    started: Path

    @classmethod
    def of(cls, lab: Lab, name: str) -> _Run:
        """An empty place; what an earlier run of that name left is gone."""
        folder = lab.folder.root / "load"
        found = cls(lab.folder.log / f"{name}.log", folder / f"{name}-result.json", folder / f"{name}-started")
        for parent in (found.log.parent, folder):
            parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (found.result, found.started):
            path.unlink(missing_ok=True)
        return found

    def start(
        self, lab: Lab, script: Path, users: int, seconds: int, per_user: float, extra: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start the process."""
        command = [*locust(script, lab, users), "--headless", "--run-time", f"{seconds}s", "--only-summary"]
        own = {"ARCHLAB_LOAD_RESULT": str(self.result), "ARCHLAB_LOAD_STARTED": str(self.started)}
        with self.log.open("w") as output:
            env = environment(lab, per_user) | extra | own
            return subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)

    def figures(self) -> dict[str, Any]:
        """What was counted.

        Raises:
            ArchlabError: nothing was; carries the last words.
        """
        if not self.result.exists():
            raise self.failure()
        found: dict[str, Any] = json.loads(self.result.read_text())
        return found

    def failure(self) -> ArchlabError:
        """The error for a run that came to nothing, with its last words."""
        tail = self.log.read_text().strip().splitlines()[-3:]
        return ArchlabError(f"The load could not run: {' '.join(tail)}", f"The whole output is in {self.log}")


def _until_started(run: _Run, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not run.started.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise run.failure()
        time.sleep(0.05)


def locust(script: Path, lab: Lab, users: int) -> list[str]:
    """The command line, without how it is to run."""
    host = ["--host", lab.endpoints.gateway]
    return [sys.executable, "-m", "locust", "-f", str(script), "-u", str(users), "-r", str(users), *host]


def caller_of(team: str) -> User:
    """Who asks a team's models in a load."""
    return User(name=f"caller-{team}", team=team, roles=("viewer",))


def environment(lab: Lab, per_user: float) -> dict[str, str]:
    """What load.py reads."""
    caller = next((u for u in lab.declared.users if u.name == "caller"), lab.user())
    for team in lab.declared.teams:
        identity.write_header_file(lab.folder, caller_of(team.name))
    return {
        **os.environ,
        "ARCHLAB_LAB": str(lab.folder.root),
        "ARCHLAB_GATEWAY": lab.endpoints.gateway,
        "ARCHLAB_TOKEN_FILE": str(identity.write_header_file(lab.folder, caller)),
        "ARCHLAB_TOKEN_FOLDER": str(lab.folder.tokens),
        "ARCHLAB_LOAD_RATE": repr(per_user),
    }
