from __future__ import annotations

from pathlib import Path

import pytest

from archlab import settings
from archlab.pipelines import data as typed


@pytest.fixture(scope="session")
def data() -> Path:
    """The airline's typed data, shared with labs: its folder is addressed by digest and whole or absent."""
    return typed.ensure(settings.home() / "cache", "airline")
