"""The commands of docs/kubernetes-labs.md, run as they stand there, in order, on this lab.

What an earlier test of this run did with this lab, to the letter and with success, is not done a second time: rollouts,
replicas, hours of the clock take minutes. On its own this file runs all of them.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from archlab.lab import Lab
from guide import GUIDE, LABS, UP, commands
from harness import ARCHLAB, Cli
from lab_pods import NAME
from ran import RAN

pytestmark = pytest.mark.slow


def test_the_first_guide_brings_a_lab_up() -> None:
    assert UP in commands(GUIDE)


def test_nothing_of_the_guide_is_left_out() -> None:
    assert len(commands(LABS)) >= 20


@pytest.mark.parametrize("command", commands(LABS))
def test_a_command_of_the_guide(cli: Cli, lab: Lab, command: str) -> None:
    if command in RAN:
        return
    words = shlex.split(command)
    if words[:2] == ["archlab", "load"]:
        assert cli.load(*words[2:])["requests"] > 100
        return
    if words[0] != "archlab":
        words = [NAME if word == "ten-models" else word for word in words]
    path = f"{Path(ARCHLAB).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        words, env={**cli.environment, "PATH": path}, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
