"""The rules as shipped, for truths to be held against."""

from __future__ import annotations

import pytest

from shipped_gate import ShippedGate


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> ShippedGate:
    return ShippedGate.made(tmp_path_factory.mktemp("gate"))
