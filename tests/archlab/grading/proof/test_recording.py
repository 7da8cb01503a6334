"""What labs showed is kept beside the scenario, read back whole, and known to be stale when scripts change."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.errors import NotFoundError, SpecError
from archlab.grading import content
from archlab.grading.proof import recording, solutions
from archlab.grading.proof.findings import Check
from archlab.grading.proof.recording import Solved, Take
from synthetic import World


@pytest.fixture
def takes(folder: Path) -> tuple[Take, ...]:
    """Two takes, saved."""
    (folder / "scenario.yaml").write_text("name: small\n")
    start, day = World().evidence(days=[]), World().evidence()
    first = Take(1, start, day, {"forecast": Solved(day, 1.5, ("archlab x",))}, {("move", "moved_another"): day})
    made = (first, Take(2, World(seed=2).evidence(days=[]), World(seed=2).evidence()))
    recording.save(content.load(folder), solutions.load(folder), made)
    return made


def test_it_is_read_back_whole(folder: Path, takes: tuple[Take, ...]) -> None:
    assert recording.load(folder) == takes
    assert recording.stale(content.load(folder), solutions.load(folder)) == []


def test_equal_evidence_is_kept_once_and_old_files_go(folder: Path, takes: tuple[Take, ...]) -> None:
    assert len(list((folder / recording.FOLDER).glob("*.json.gz"))) == 4
    recording.save(content.load(folder), solutions.load(folder), takes[1:])
    assert len(list((folder / recording.FOLDER).glob("*.json.gz"))) == 2


def test_changed_scripts_and_scenarios_are_stale(folder: Path, takes: tuple[Take, ...]) -> None:
    path = folder / "solution" / "solutions.py"
    path.write_text(path.read_text().replace('"archlab set flight-time mode batch"', '"archlab set x mode batch"', 1))
    (folder / "scenario.yaml").write_text("name: other\n")
    found = recording.stale(content.load(folder), solutions.load(folder))
    assert [(f.question, f.check) for f in found] == [("", Check.RECORDING), ("move", Check.RECORDING)]


def test_plain_functions_may_change(folder: Path, takes: tuple[Take, ...]) -> None:
    path = folder / "solution" / "solutions.py"
    path.write_text(path.read_text().replace("24 * 3600", "86400"))
    assert recording.stale(content.load(folder), solutions.load(folder)) == []


def test_nothing_recorded_names_the_command(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="archlab scenarios check small --record"):
        recording.load(folder)


def test_a_damaged_recording_is_said(folder: Path, takes: tuple[Take, ...]) -> None:
    next(iter((folder / recording.FOLDER).glob("*.json.gz"))).unlink()
    with pytest.raises(SpecError, match="with --record"):
        recording.load(folder)
    (folder / recording.FOLDER / "index.json").write_text("{ half")
    with pytest.raises(SpecError, match=r"index\.json can't be read"):
        recording.load(folder)
