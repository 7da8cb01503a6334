"""Tests that need a Kubernetes cluster: the one that KUBECONFIG names. `make test-kube` runs them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from archlab.targets.kube.images import images
from cluster_chart import Installed, archlab, install
from kube_objects import Kubectl

HERE = Path(__file__).parent


def _lacking() -> str:
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster"
    missing = [program for program in ("kubectl", "helm") if shutil.which(program) is None]
    return f"there is no {' and no '.join(missing)} on PATH" if missing else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a cluster where none is named."""
    lacking = _lacking()
    for item in items:
        if item.path.is_relative_to(HERE) and lacking:
            item.add_marker(pytest.mark.skip(reason=lacking))


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """kubectl against the cluster at hand."""
    return Kubectl()


@pytest.fixture
def namespace(kubectl: Kubectl, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, gone afterwards."""
    with kubectl.namespace() as name:
        yield name


@pytest.fixture(scope="session")
def plugin_image() -> str:
    """The servers' image, which has the device plugin: on the cluster after `archlab image load`."""
    return images()[1]


@pytest.fixture(scope="session")
def installed(kubectl: Kubectl, plugin_image: str) -> Iterator[Installed]:
    """The cluster chart with its own devices, installed by `archlab cluster install`."""
    yield install(kubectl, plugin_image)
    archlab("cluster", "remove")
