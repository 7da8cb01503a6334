"""One command at a time changes a lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.errors import ConflictError
from archlab.lab.lock import exclusive, is_held
from archlab.settings import LabFolder


def test_the_second_command_is_told_who_holds_it(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "lab")
    with exclusive(folder, "up"), pytest.raises(ConflictError, match="busy: archlab up"), exclusive(folder, "down"):
        pass
    with exclusive(folder, "down"):
        assert (folder.root / "lock").read_text().startswith("archlab down")


def test_who_asks_is_told_whether_it_is_held_also_after_a_kill(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "lab")
    assert not is_held(folder), "there is no lab yet"
    with exclusive(folder, "up"):
        assert is_held(folder)
    assert not is_held(folder)
    (folder.root / "lock").write_text("archlab up (pid 1)")
    assert not is_held(folder), "its holder died"
    assert (folder.root / "lock").read_text() == ""
