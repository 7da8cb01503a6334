"""A scenario's candidates on a live lab: an `up` that is killed half-way goes on, and nobody is registered twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from archlab import settings

ARCHLAB = str(Path(sys.executable).parent / "archlab")
NAME = "killed"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def _run(home: Path, *args: str) -> str:
    environment = {**os.environ, "ARCHLAB_HOME": str(home), "ARCHLAB_LAB_NAME": NAME, "NO_COLOR": "1"}
    done = subprocess.run([ARCHLAB, *args], env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    shared = settings.home() / "cache"
    shared.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").symlink_to(shared)
    yield tmp_path
    _run(tmp_path, "down", "--purge")


def _registered(home: Path) -> list[str]:
    """Candidates of all versions, straight from the registry's database."""
    path = home / NAME / "registry" / "mlflow.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        try:
            found = database.execute("SELECT value FROM model_version_tags WHERE key = 'archlab.candidate'").fetchall()
        except sqlite3.OperationalError:
            return []
    return [str(value) for (value,) in found]


def test_a_killed_up_goes_on_and_registers_nobody_twice(home: Path) -> None:
    command = [ARCHLAB, "up", "approval-gates", "--seed", "2"]
    environment = {**os.environ, "ARCHLAB_HOME": str(home), "ARCHLAB_LAB_NAME": NAME}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        while len(_registered(home)) < 3 and killed.poll() is None:
            pass
        killed.send_signal(signal.SIGKILL)
    assert 3 <= len(_registered(home)) < 14
    for _ in range(2):
        _run(home, "up", "approval-gates", "--seed", "2")
        assert set(Counter(_registered(home)).values()) == {1}
        assert len(_registered(home)) == 14
        waiting: list[dict[str, Any]] = json.loads(_run(home, "models", "candidates", "--json"))
        assert len(waiting) == 12
        assert [w["candidate"] for w in waiting if "changed since" in w["approved_by"]] == ["cancel-b"]
