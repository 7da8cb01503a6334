"""docs/learner.md: every command it names is one, with those options; its figures are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from archlab.cli import _app
from archlab.grading.scoring import ATTEMPT_SHARES

GUIDE = Path(__file__).parents[3] / "docs" / "learner.md"
TEXT = GUIDE.read_text()
COMMANDS = sorted(set(re.findall(r"^    (archlab [^·\n]+)$|`(archlab [^`\n]+)`", TEXT, re.MULTILINE)))


@pytest.mark.parametrize("line", [a or b for a, b in COMMANDS])
def test_a_command_of_the_guide_exists(line: str) -> None:
    command: Any = get_command(_app())
    words = shlex.split(line.replace("[", "").replace("]", ""))[1:]
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{line}: there is no {words[0]!r}"
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts}
    assert {w for w in words if w.startswith("--")} <= known


def test_the_guide_names_commands_at_all() -> None:
    assert len(COMMANDS) > 15


def test_the_guides_shares_are_those_of_the_code() -> None:
    shares = ", ".join(f"{round(100 * share)} %" for share in ATTEMPT_SHARES)
    assert f"| first, second, third answer | {shares} of the points" in TEXT
