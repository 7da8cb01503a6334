"""The one real ten-model lab of a test run, made from nothing in a home of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from archlab.lab import Lab, open_lab
from harness import NAME, Cli, command_line


@pytest.fixture(scope="session")
def cli() -> Iterator[Cli]:
    """A command line whose home is a temporary folder; data and models that the checkout has cached are used."""
    with command_line("archlab-e2e-") as made:
        yield made


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
