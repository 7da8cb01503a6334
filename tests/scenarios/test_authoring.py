"""`archlab scenarios check` on live labs of the guide's small scenario. Minutes: `make test-scenarios`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from archlab import settings
from authoring import build

ARCHLAB = str(Path(sys.executable).parent / "archlab")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


class Author:
    """An author with a folder of scenarios and a home of their own."""

    def __init__(self, root: Path) -> None:
        self.folder = build(root / "scenarios")
        self.home = root / "home"
        self.home.mkdir()
        shared = settings.home() / "cache"
        shared.mkdir(parents=True, exist_ok=True)
        (self.home / "cache").symlink_to(shared)

    @property
    def environment(self) -> dict[str, str]:
        own = {"ARCHLAB_SCENARIOS": str(self.folder.parent), "ARCHLAB_HOME": str(self.home), "NO_COLOR": "1"}
        return {**os.environ, **own}

    def command(self, *args: str) -> list[str]:
        return [ARCHLAB, "scenarios", "check", "two-models", *args, "--json"]

    def check(self, *args: str) -> tuple[int, Any]:
        command = self.command(*args)
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=1200, check=False)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def spoil(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    @property
    def left_behind(self) -> list[str]:
        """Labs and processes of checks."""
        labs = [str(p) for p in (self.home / "checks").glob("*/*/lab.json")]
        mine = [p for p in psutil.process_iter(["cmdline"]) if str(self.home) in " ".join(p.info["cmdline"] or ())]
        return labs + [" ".join(p.info["cmdline"]) for p in mine]


@pytest.fixture
def author(tmp_path: Path) -> Iterator[Author]:
    made = Author(tmp_path)
    yield made
    shutil.rmtree(made.home, ignore_errors=True)


def test_the_guides_scenario_holds_on_live_labs_and_its_recording_holds_without(author: Author) -> None:
    code, said = author.check("--record")
    assert said["findings"] == []
    assert (code, said["evidence"]) == (0, "live")
    assert author.left_behind == []
    shutil.rmtree(author.home / "checks")
    code, said = author.check("--quick")
    assert (code, said["findings"], said["evidence"]) == (0, [], "recorded")


def test_a_broken_solution_is_caught_live_after_a_check_was_killed(author: Author) -> None:
    """The killed check's lab is still running; the next one deletes it, finds the fault, and leaves nothing."""
    author.spoil("solution/solutions.py", "batch-every 1h", "batch-every 6h")
    with subprocess.Popen(
        author.command(), env=author.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as killed:
        lab = author.home / "checks" / "two-models" / "check"
        while not list(lab.glob("log/gateway-0.log")) and killed.poll() is None:
            pass
        killed.send_signal(signal.SIGKILL)
    assert author.left_behind
    code, said = author.check("--question", "moved")
    assert code == 1
    found = [f for f in said["findings"] if f["check"] == "solution"]
    assert {f["question"] for f in found} == {"moved"}
    assert "incorrect" in found[0]["found"]
    assert author.left_behind == []
