"""What goes wrong is said within seconds, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from harness import ARCHLAB, Cli
from lab_pods import NAME, kubectl

BROKEN = f"{NAME}-broken"


def _namespaces() -> set[str]:
    return set(kubectl("get", "namespaces", "--output", "name", namespace="default").split())


def test_a_missing_image_is_named_within_seconds_and_down_leaves_nothing(cli: Cli) -> None:
    before = _namespaces()
    environment = {**cli.environment, "ARCHLAB_IMAGE": "archlab:no-such-tag"}
    began = time.monotonic()
    done = subprocess.run(
        [ARCHLAB, "up", "ten-models", "--lab", BROKEN, "--target", "kube"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 3
    assert "archlab:no-such-tag" in done.stderr
    assert "archlab image load" in done.stderr
    assert time.monotonic() - began < 90
    cli.ok("down", "--lab", BROKEN, "--purge")
    assert _namespaces() == before
    assert BROKEN not in kubectl("get", "persistentvolumes", "--output", "wide", namespace="default")


def test_up_is_killed_and_down_leaves_nothing(cli: Cli) -> None:
    before = _namespaces()
    with subprocess.Popen(
        [ARCHLAB, "up", "ten-models", "--lab", BROKEN, "--target", "kube"],
        env=cli.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        deadline = time.monotonic() + 120
        while f"namespace/{BROKEN}" not in _namespaces():
            assert time.monotonic() < deadline
        os.killpg(running.pid, signal.SIGKILL)
    cli.ok("down", "--lab", BROKEN, "--purge")
    assert _namespaces() == before


def test_a_cluster_that_does_not_answer_is_named(cli: Cli, tmp_path: object) -> None:
    environment = {**cli.environment, "KUBECONFIG": "/nowhere/config"}
    done = subprocess.run(
        [ARCHLAB, "up", "ten-models", "--lab", BROKEN, "--target", "kube"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "/nowhere/config" in done.stderr
