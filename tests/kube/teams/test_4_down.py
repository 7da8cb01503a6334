"""`down` leaves nothing of the teams behind, whatever was there."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from archlab.lab import Lab
from harness import ARCHLAB, Cli
from team_namespaces import NAME, namespaces

BROKEN = f"{NAME}-broken"


def test_up_is_killed_when_teams_are_half_there_and_down_leaves_nothing(cli: Cli) -> None:
    with subprocess.Popen(
        [ARCHLAB, "up", "five-teams", "--lab", BROKEN, "--target", "kube"],
        env=cli.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        deadline = time.monotonic() + 60
        while f"{BROKEN}-network-planning" not in namespaces(BROKEN):
            assert time.monotonic() < deadline
        os.killpg(running.pid, signal.SIGKILL)
    assert BROKEN in namespaces(BROKEN)
    cli.ok("down", "--lab", BROKEN, "--purge")
    assert namespaces(BROKEN) == set()


def test_down_takes_the_teams_namespaces_and_keeps_what_is_stored(cli: Cli, lab: Lab) -> None:
    cli.ok("down")
    assert namespaces() == {NAME}
    cli.ok("down", "--purge")
    assert namespaces() == set()
