"""Commands of the guides for learners, instructors and recovery exist, with those options; figures are the code's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from archlab.cli import _app
from archlab.grading.scoring import ATTEMPT_SHARES

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "learner.md").read_text()
LESSONS = (DOCS / "instructor.md").read_text()
ALL = TEXT + LESSONS + "".join((DOCS / f"{name}.md").read_text() for name in ("recovery", "drills", "backups"))
FOUND = re.findall(r"^    (archlab [^·\n]+)$|`(archlab [^`\n]+)`", ALL, re.MULTILINE)
COMMANDS = sorted({block or inline for block, inline in FOUND})


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_guide_exists(line: str) -> None:
    command: Any = get_command(_app())
    words = shlex.split(line.replace("[", "").replace("]", ""))[1:]
    while words and hasattr(command, "commands") and not words[0].startswith("--"):
        assert words[0] in command.commands, f"{line}: there is no {words[0]!r}"
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts}
    assert {w for w in words if w.startswith("--")} <= known


def test_the_guide_names_commands_at_all() -> None:
    assert len(COMMANDS) > 15


def test_the_guides_shares_are_those_of_the_code() -> None:
    shares = ", ".join(f"{round(100 * share)} %" for share in ATTEMPT_SHARES)
    assert f"| first, second, third answer | {shares} of the points" in TEXT
