"""The tour's guide: asks, runs, proves; leaves and comes back. Evidence is synthetic, commands are real."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from archlab.cli import tour as command
from archlab.errors import UserError
from archlab.grading import tour
from archlab.lab import Lab
from archlab.settings import LabFolder
from archlab.spec.grading import Evidence
from labs import still_lab
from synthetic import World, ten_models

TOUR = """\
format: archlab/tour/v1
title: Flags
steps:
  - id: raise-it
    title: Raise the flag
    minutes: 1
    text: "Raise {colour}."
    actions:
      - {run: 'touch {lab}/flag; echo {colour} in $ARCHLAB_LAB_NAME'}
      - {run: "exit 1", exits: 1}
    check: raised
    after: It flies.
  - id: copy-it
    title: Copy
    minutes: 1
    text: Copy.
    actions:
      - copy_files: {source: gap, solution: full, to: policies/mine}
      - {wait: "Fill it."}
    check: filled
"""

CHECKS = """\
def values(evidence):
    return {"colour": "red; touch /tmp/never"}

def raised(evidence, lab):
    return "" if (lab / "flag").exists() else "There is no flag."

def filled(evidence, lab):
    rule = lab / "policies/mine/rule"
    return "" if rule.exists() and "full" in rule.read_text() else "The gap is open."
"""


class _Guide(command.Guide):
    def _evidence(self) -> Evidence:
        return World().evidence()


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    for name in ("gap", "full"):
        (folder / name).mkdir(parents=True)
        (folder / name / "rule").write_text(name)
    shutil.copy(ten_models() / "scenario.yaml", folder)
    (folder / "tour.yaml").write_text(TOUR)
    (folder / "tour_checks.py").write_text(CHECKS)
    return folder


@pytest.fixture
def lab(tmp_path: Path, content: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path / "home"))
    made = Lab(still_lab(tmp_path / "home"))
    made.__dict__["content"] = content
    return made


def _guide(lab: Lab, *, yes: bool = False, solution: bool = False) -> command.Guide:
    return _Guide(lab, tour.load(lab.content), yes=yes, solution=solution)


def _done(folder: LabFolder) -> tuple[str, ...]:
    return tour.read_progress(folder.root / "tour.json").done


def test_unattended_with_the_solution_it_runs_to_its_end(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    _guide(lab, yes=True, solution=True).walk(tour.Progress(), None)
    said = capfd.readouterr().out
    assert _done(lab.folder) == ("raise-it", "copy-it")
    assert "red; touch /tmp/never in still" in said
    assert not Path("/tmp/never").exists()
    assert "It flies." in said
    assert "The tour is done" in said


def test_unattended_it_stops_at_what_is_not_proven(lab: Lab) -> None:
    with pytest.raises(UserError, match=r"copy-it: The gap is open.*--from copy-it"):
        _guide(lab, yes=True).walk(tour.Progress(), None)
    assert _done(lab.folder) == ("raise-it",)


def test_an_unexpected_exit_stops_an_unattended_tour(lab: Lab, content: Path) -> None:
    path = content / "tour.yaml"
    path.write_text(path.read_text().replace("exits: 1", "exits: 0"))
    with pytest.raises(UserError, match="exit code 1"):
        _guide(lab, yes=True).walk(tour.Progress(), None)


def test_a_learner_leaves_and_comes_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\ns\nq\n"))
    with pytest.raises(command.Left):
        _guide(lab).walk(tour.Progress(), None)
    assert _done(lab.folder) == ("raise-it",)
    (lab.folder.policies / "mine" / "rule").write_text("full, by hand")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    _guide(lab).walk(tour.read_progress(lab.folder.root / "tour.json"), None)
    assert _done(lab.folder) == ("raise-it", "copy-it")
    assert (lab.folder.policies / "mine" / "rule").read_text() == "full, by hand"
    assert "already" in capfd.readouterr().out


def test_a_skipped_command_is_missed_by_the_check_until_skipped_too(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("s\ns\n\ns\n"))
    with pytest.raises(command.Left):
        _guide(lab).walk(tour.Progress(), None)
    assert capfd.readouterr().out.count("There is no flag.") == 2


def test_the_list_shows_steps_and_what_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    loaded = tour.load(ten_models())
    command._list(loaded, tour.Progress(done=("look-around",)))
    said = capfd.readouterr().out
    assert "15 minutes" in said
    assert "roll-back" in said
    assert said.count("done") == 1
