"""The commands of the guide's section on labs, run on this one."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from archlab.lab import Lab
from guide import LAB, commands_of
from harness import ARCHLAB, NAME, Cli

UP = "archlab up ten-models --target kube --port 30080 --gateway http://127.0.0.1:8080"
"""Ports of a kind or minikube cluster; the lab at hand is up already, wherever its gateway is."""


def test_the_guide_brings_a_lab_up() -> None:
    assert UP in commands_of(LAB)


@pytest.mark.parametrize("command", commands_of(LAB))
def test_a_command_of_the_guide(cli: Cli, lab: Lab, command: str) -> None:
    if command == UP:
        command = "archlab up ten-models"
    words = [NAME if word == "ten-models" and "-n" in command.split() else word for word in shlex.split(command)]
    path = f"{Path(ARCHLAB).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        words, env={**cli.environment, "PATH": path}, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
