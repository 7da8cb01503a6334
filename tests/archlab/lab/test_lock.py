"""One command at a time changes a lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.errors import ConflictError
from archlab.lab.lock import exclusive
from archlab.settings import LabFolder


def test_the_second_command_is_told_who_holds_it(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "lab")
    with exclusive(folder, "up"), pytest.raises(ConflictError, match="busy: archlab up"), exclusive(folder, "down"):
        pass
    with exclusive(folder, "down"):
        assert (folder.root / "lock").read_text().startswith("archlab down")
