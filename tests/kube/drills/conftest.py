"""Drills on the cluster that KUBECONFIG names; images as in tests/kube/lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kube_session
from harness import Cli, command_line

HERE = Path(__file__).parent
NAME = "kube-drill"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a cluster where none is named."""
    lacking = kube_session.lacking()
    for item in items:
        if item.path.is_relative_to(HERE) and lacking:
            item.add_marker(pytest.mark.skip(reason=lacking))


@pytest.fixture(scope="session")
def cli() -> Iterator[Cli]:
    """A command line of the tests' own."""
    with kube_session.writable_volumes(), command_line("archlab-kube-", NAME) as made:
        yield made
