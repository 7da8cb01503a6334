"""docs/governance.md: its index is that of the rules, its commands exist, its links lead somewhere.

`python tests/policies/test_governance_guide.py` writes the index anew.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from archlab.cli import _app
from archlab.policy.sources import RuleSource, rules
from archlab.settings import data_root

GUIDE = Path(__file__).parents[2] / "docs" / "governance.md"
START, END = "<!-- index of the rules -->\n", "<!-- end of the index -->\n"
COMMANDS = sorted(set(re.findall(r"^    (archlab [^#\n]+?)\s*(?:#|$)", GUIDE.read_text(), re.MULTILINE)))


def row(rule: RuleSource) -> str:
    text, page = rule.files[0].text, (rule.files[0].path.parent / "README.md").read_text()
    declared = re.search(r"^actions := \{(.*?)\}", text, re.MULTILINE | re.DOTALL)
    actions = ", ".join(f"`{found}`" for found in re.findall(r'"([^"]+)"', declared[1] if declared else ""))
    summary = re.split(r"(?<=[.:])\s", page.partition("## Summary\n")[2].partition("\n\n")[0].replace("\n", " "))[0]
    waivable = "for a time" if re.search(r"^waivable := true$", text, re.MULTILINE) else "never"
    return f"| [{rule.id}](../policies/{rule.id}/README.md) | {actions} | {summary.rstrip(':.')} | {waivable} |"


def index() -> str:
    found = [row(rule) for rule in rules(data_root("policies"), "built-in")]
    return "\n".join(["| rule | asked for | in short | can be waived |", "|---|---|---|---|", *found]) + "\n"


def test_the_index_is_that_of_the_rules() -> None:
    assert GUIDE.read_text().partition(START)[2].partition(END)[0] == index()


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_guide_exists(line: str) -> None:
    command: Any = get_command(_app())
    words = shlex.split(line)[1:]
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{line}: there is no {words[0]!r}"
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_guide_names_commands_and_its_links_lead_somewhere() -> None:
    assert len(COMMANDS) >= 6
    for target in re.findall(r"\]\(([^)#:]+)\)", GUIDE.read_text()):
        assert (GUIDE.parent / target).exists(), target


if __name__ == "__main__":
    before, _, rest = GUIDE.read_text().partition(START)
    GUIDE.write_text(before + START + index() + END + rest.partition(END)[2])
