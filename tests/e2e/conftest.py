"""The one real ten-model lab of a test run, made from nothing in a home of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from archlab import settings
from archlab.lab import Lab, lab_names, open_lab
from harness import NAME, Cli


@pytest.fixture(scope="session")
def cli() -> Iterator[Cli]:
    """A command line whose home is a temporary folder; data and models that the checkout has cached are used."""
    with tempfile.TemporaryDirectory(prefix="archlab-e2e-") as home:
        made = Cli(Path(home))
        shared = settings.home() / "cache"
        shared.mkdir(parents=True, exist_ok=True)
        (made.home / "cache").symlink_to(shared)
        previous = os.environ.get("ARCHLAB_HOME")
        os.environ["ARCHLAB_HOME"] = home
        yield made
        for name in lab_names():
            made.run("down", "--lab", name, "--purge")
        if previous is None:
            del os.environ["ARCHLAB_HOME"]
        else:
            os.environ["ARCHLAB_HOME"] = previous


@pytest.fixture(scope="session")
def lab(cli: Cli) -> Lab:
    """The lab, up."""
    cli.ok("up", "ten-models", "--lab", NAME)
    return open_lab(NAME)


@pytest.fixture
def fresh(cli: Cli, lab: Lab) -> Lab:
    """The lab at the scenario's start."""
    cli.ok("reset")
    return lab
