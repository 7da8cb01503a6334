"""The commands that README suggests, run as they stand there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archlab.lab import Lab
from harness import Cli
from ran import RAN

pytestmark = pytest.mark.lab
README = Path(__file__).parents[2] / "README.md"
UNATTENDED = {"archlab tour": "archlab tour --yes --solution"}
"""What waits for a reader gets its switches for going on by itself."""


def _commands(starting: str) -> list[str]:
    lines = (line.strip() for line in README.read_text().splitlines() if line.startswith("    "))
    found = [line.split("  #")[0].strip() for line in lines if line.startswith(starting)]
    return [UNATTENDED.get(command, command) for command in found]


def test_readme_suggests_commands() -> None:
    assert len(_commands("archlab ")) >= 8


@pytest.mark.parametrize("command", _commands("archlab "))
def test_a_suggested_command_works(cli: Cli, lab: Lab, command: str) -> None:
    """What succeeded in this run already, the tour above all, is not run once more."""
    words = command.split()[1:]
    if command in RAN:
        return
    if words[0] == "load":
        assert cli.load(*words[1:])["requests"] > 1000
    else:
        assert cli.ok(*words)


def test_the_plain_mlflow_client_works(cli: Cli, lab: Lab) -> None:
    (script,) = _commands("python -c")
    exports, bin_folder = cli.ok("env"), Path(sys.executable).parent
    shell = ["bash", "-c", f"{exports}\n{bin_folder}/{script}"]
    done = subprocess.run(shell, env=cli.environment, capture_output=True, text=True, check=True)
    assert "archlab.approved_by" in done.stdout
