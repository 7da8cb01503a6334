"""What the runbooks of a lab in two regions refuse; nothing runs here."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.errors import LabStateError
from archlab.files import write_model
from archlab.lab import Lab, regional
from archlab.recovery.runbook import Done, Progress
from archlab.targets import places
from labs import still_lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path))
    made = Lab(still_lab(tmp_path))
    write_model(made.folder.identity, made.identity.model_copy(update={"scenario": "disaster-recovery"}))
    places.root(made.folder).mkdir()
    return Lab(made.folder)


@pytest.mark.parametrize(
    ("runbook", "ends"),
    [
        ("failover to west", "archlab dr failover"),
        ("failback to east", "archlab dr failback"),
        ("isolate west", "archlab dr isolate west"),
    ],
)
def test_nothing_is_revived_beside_a_runbook_that_was_broken_off(lab: Lab, runbook: str, ends: str) -> None:
    done = (Done(step="fence", seconds=0.1, said="nothing runs in east"),)
    write_model(places.root(lab.folder) / f"{runbook.split()[0]}.runbook", Progress(runbook=runbook, done=done))
    with pytest.raises(LabStateError, match="was broken off") as refused:
        regional.revive(lab, "east", lambda *_: None)
    assert refused.value.remedy.endswith(ends)
