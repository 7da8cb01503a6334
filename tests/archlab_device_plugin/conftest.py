"""A kubelet's folder with a short path, as unix sockets need."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_kubelet import FakeKubelet


@pytest.fixture
def kubelet() -> Iterator[FakeKubelet]:
    """A running kubelet; its folder's path is short, as unix sockets need."""
    with tempfile.TemporaryDirectory(prefix="dp-") as folder:
        made = FakeKubelet(Path(folder))
        made.start()
        yield made
        made.stop()
