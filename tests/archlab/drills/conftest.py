"""Drills with real regions; left out where there are no programs of Postgres."""

from __future__ import annotations

from pathlib import Path

import pytest

from recovery_pair import programs_or_skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archlab home of the test's own."""
    programs_or_skip()
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path))
    return tmp_path
