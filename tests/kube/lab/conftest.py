"""A real ten-model lab on the cluster that KUBECONFIG names.

The images must be there: `make image`, `archlab image load`. ARCHLAB_IMAGE and ARCHLAB_SERVING_IMAGE name others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kube_session
from archlab.lab import Lab, open_lab
from harness import Cli, command_line
from lab_pods import NAME

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a cluster where none is named; a lab takes its time."""
    lacking = kube_session.lacking()
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(900))
            if lacking:
                item.add_marker(pytest.mark.skip(reason=lacking))


@pytest.fixture(scope="session")
def cli() -> Iterator[Cli]:
    """A command line of the tests' own."""
    with kube_session.writable_volumes(), command_line("archlab-kube-", NAME) as made:
        yield made


@pytest.fixture(scope="session")
def lab(cli: Cli) -> Lab:
    """The lab, up."""
    cli.ok("up", "ten-models", "--target", "kube", timeout_s=600)
    return open_lab(NAME)
