"""For all tests: where `benchmarks` is found, and which tests share a worker.

The benchmarks are no installed package: they are found from the root of the checkout, as `python -m` finds them.
Tests of a folder share its servers and data, so they run in one worker.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group by folder for pytest-xdist."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(str(item.path.parent)))
