"""A scenario's load, driven by locust in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from archlab import identity
from archlab.errors import ArchlabError, NotFoundError
from archlab.lab.lab import Lab

PATIENCE_S = 120
"""Beyond the run itself: preparing requests, waiting for the slowest answers."""


def script_of(lab: Lab) -> Path:
    """The scenario's load.py.

    Raises:
        NotFoundError: it has none.
    """
    script = lab.content / "load.py"
    if not script.exists():
        raise NotFoundError(f"Scenario {lab.identity.scenario} has no load.py.")
    return script


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
    log = lab.folder.log / "load.log"
    result = lab.folder.root / "load" / "result.json"
    for folder in (log.parent, result.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    result.unlink(missing_ok=True)
    command = [*locust(script, lab, users), "--headless", "--run-time", f"{seconds}s", "--only-summary"]
    env = environment(lab, per_user) | (extra or {}) | {"ARCHLAB_LOAD_RESULT": str(result)}
    with log.open("w") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            process.wait(timeout=seconds + PATIENCE_S)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            process.terminate()
            process.wait(timeout=30)
            raise
    if not result.exists():
        tail = log.read_text().strip().splitlines()[-3:]
        raise ArchlabError(f"The load could not run: {' '.join(tail)}", f"The whole output is in {log}")
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def locust(script: Path, lab: Lab, users: int) -> list[str]:
    """The command line, without how it is to run."""
    host = ["--host", lab.endpoints.gateway]
    return [sys.executable, "-m", "locust", "-f", str(script), "-u", str(users), "-r", str(users), *host]


def environment(lab: Lab, per_user: float) -> dict[str, str]:
    """What load.py reads."""
    caller = next((u for u in lab.declared.users if u.name == "caller"), lab.user())
    return {
        **os.environ,
        "ARCHLAB_LAB": str(lab.folder.root),
        "ARCHLAB_GATEWAY": lab.endpoints.gateway,
        "ARCHLAB_TOKEN_FILE": str(identity.write_header_file(lab.folder, caller)),
        "ARCHLAB_LOAD_RATE": repr(per_user),
    }
