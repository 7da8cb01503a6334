"""The lessons of docs/instructor.md on a live lab: their commands, in their order, and what a question has one type."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from archlab import settings
from archlab.grading import content
from archlab.plan.loading import scenario_folder

BIN = Path(sys.executable).parent
TEXT = (Path(__file__).parents[2] / "docs" / "instructor.md").read_text()
PACK = content.load(scenario_folder("five-teams"))
NAME = "lessons"
MAY_BE_REFUSED = ("archlab isolation use pool",)
"""By a budget, as some seeds have it."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def block(title: str) -> list[str]:
    """The commands of a lesson, in their order."""
    lesson = TEXT.split(f"\n## {title}")[1].split("\n## ")[0]
    return re.findall(r"^    (archlab [^\n]+)$", lesson, re.MULTILINE)


def typed(question: str) -> str:
    """What a question's text has one type in a shell."""
    lines = PACK.question(question).text.splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    "))


def sh(home: Path, command: str) -> str:
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "ARCHLAB_HOME": str(home),
        "ARCHLAB_LAB_NAME": NAME,
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode in ((0, 1) if command.startswith(MAY_BE_REFUSED) else (0,)), f"{command}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a lab as instructors prepare it: up, with a day on the books."""
    folder = tmp_path_factory.mktemp("lessons")
    shared = settings.home() / "cache"
    shared.mkdir(parents=True, exist_ok=True)
    (folder / "cache").symlink_to(shared)
    try:
        for command in block("Before any lesson"):
            sh(folder, command)
        yield folder
    finally:
        sh(folder, "archlab down --purge")


def test_what_keeps_teams_apart(home: Path) -> None:
    for command in block("25 minutes"):
        sh(home, command)
    shown = json.loads(sh(home, "archlab isolation --json"))
    assert {team["isolation"] for team in shown["teams"]} == {"none"}


def test_who_pays(home: Path) -> None:
    sh(home, typed("job-on-the-bill"))
    (line,) = json.loads(sh(home, "archlab cost lines --where kind=unallocated --json"))
    team = json.loads((home / NAME / "scenario.json").read_text())["knobs"]["job-team"]
    for command in block("45 minutes"):
        said = sh(home, command.replace("LINE", line["id"]).replace("TEAM", team))
    assert "orrect" in said
    assert "ncorrect" not in said


def test_the_architects_morning(home: Path) -> None:
    for command in block("90 minutes"):
        if "hold-the-neighbour" not in command:  # the check of the scenario measures a design
            sh(home, command.replace("grade what-quotas-say", "questions"))
