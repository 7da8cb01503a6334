"""Running `archlab` as a learner would, for the end-to-end tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlab import settings
from archlab.lab import lab_names
from ran import note

ARCHLAB = str(Path(sys.executable).parent / "archlab")
NAME = "e2e"
PATIENCE_S = 600.0
"""For any command, on a machine that is busy with something else."""


@dataclass(frozen=True)
class Cli:
    """Runs `archlab` as a learner would, in a home of its own."""

    home: Path
    lab: str = NAME
    """The lab that commands mean."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command."""
        return {
            **os.environ,
            "ARCHLAB_HOME": str(self.home),
            "ARCHLAB_LAB_NAME": self.lab,
            "COLUMNS": "160",
            "NO_COLOR": "1",
        }

    def run(self, *args: str, timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """One command, whatever its exit code."""
        done = subprocess.run(
            [ARCHLAB, *args], env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        if done.returncode == 0:
            note(("archlab", *args), self.lab)
        return done

    def ok(self, *args: str, timeout_s: float = PATIENCE_S) -> str:
        """One command that must succeed; its output."""
        done = self.run(*args, timeout_s=timeout_s)
        assert done.returncode == 0, f"archlab {' '.join(args)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *args: str, timeout_s: float = PATIENCE_S) -> Any:
        """One command's JSON."""
        return json.loads(self.ok(*args, "--json", timeout_s=timeout_s))

    def load(self, *options: str, timeout_s: float = PATIENCE_S) -> Any:
        """The JSON of `archlab load`: a busy machine may break an SLO's latency here, which the exit code then says."""
        done = self.run("load", *options, "--json", timeout_s=timeout_s)
        assert done.returncode in (0, 1), done.stderr
        shown = json.loads(done.stdout)
        broken = [row["verdict"] for row in shown["models"] if row["verdict"].startswith("broken")]
        assert done.returncode == (1 if broken else 0)
        assert not [verdict for verdict in broken if "availability" in verdict]
        return shown


@contextmanager
def command_line(prefix: str, lab: str = NAME) -> Iterator[Cli]:
    """A command line whose home is a temporary folder; data and models that the checkout has cached are used.

    Its labs are deleted in the end.
    """
    with tempfile.TemporaryDirectory(prefix=prefix) as home:
        made = Cli(Path(home), lab)
        shared = settings.home() / "cache"
        shared.mkdir(parents=True, exist_ok=True)
        (made.home / "cache").symlink_to(shared)
        previous = os.environ.get("ARCHLAB_HOME")
        os.environ["ARCHLAB_HOME"] = home
        yield made
        for name in lab_names():
            made.run("down", "--lab", name, "--purge")
        if previous is None:
            del os.environ["ARCHLAB_HOME"]
        else:
            os.environ["ARCHLAB_HOME"] = previous
