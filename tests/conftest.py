"""Which tests share a worker: those of a folder share its servers and data, so they run in one."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group by folder for pytest-xdist."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(str(item.path.parent)))
