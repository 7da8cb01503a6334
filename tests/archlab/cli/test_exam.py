"""The exam's commands; evidence is synthetic where the commands would ask a running lab."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.cli import main
from archlab.grading.content import load
from archlab.grading.exams import Exams, Terms
from archlab.settings import LabFolder
from labs import still_lab
from synthetic import World, ten_models

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabFolder:
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "110")
    return still_lab(tmp_path / "home")


@pytest.fixture
def run(lab: LabFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["archlab", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), " ".join((said.out + said.err).split())

    return call


@pytest.fixture
def exams(lab: LabFolder) -> Exams:
    return Exams(load(ten_models()), lab.root, World().evidence)


def _start(exams: Exams) -> None:
    exams.start(Terms(45, ("cheapest-resilient", "break-even-volume", "leak-rolled-back"), 3))


def test_an_exam_from_its_start_to_its_report(run: Run, exams: Exams) -> None:
    _start(exams)
    code, said = run("exam", "status")
    assert code == 0
    assert "0:44:5" in said
    code, said = run("exam", "show", "cheapest-resilient")
    assert (code, "every-30-minutes" in said, "misconception" in said) == (0, True, False)
    exams.answer("cheapest-resilient", "nightly")
    assert "Your answer so far: nightly" in run("exam", "show", "cheapest-resilient")[1]
    assert json.loads(run("exam", "status", "--json")[1])["questions"]["cheapest-resilient"] is True
    code, said = run("exam", "finish", "--without-lab")
    assert code == 0
    assert "cheapest-resilient incorrect 0/10" in said
    assert "0 of 30 points" in said
    assert "SRV-01 batch against online" in said
    assert "Can't be practised in this scenario: G1 low-code AI" in said
    assert "%" not in said.split("By competency")[0]
    assert "no forecast of an exam" in said
    code, said = run("exam", "report", "--blueprint", "KCNA")
    assert (code, "Not asked this time: K2 container orchestration" in said) == (0, True)
    found = json.loads(run("exam", "report", "--json")[1])
    assert found["competencies"]["SRV-01"]["standing"] == "gap"
    assert found["domains"]["PMLE"]["G1"]["practicable"] == 0
    assert "One replica costs" in run("exam", "report", "--explain")[1]


def test_before_the_end_there_is_no_verdict_anywhere(run: Run, exams: Exams) -> None:
    _start(exams)
    exams.answer("cheapest-resilient", "nightly")
    for command in (
        ("hint", "cheapest-resilient"),
        ("answer", "cheapest-resilient", "nightly"),
        ("grade",),
        ("exam", "report"),
        ("exam", "start"),
    ):
        code, said = run(*command)
        assert code == 1
        assert "exam-1" in said
        assert "stale" not in said
    assert "incorrect" not in run("gradebook", "show")[1]
    assert "incorrect" not in run("gradebook", "export")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("exam", "status"), 1, "No exam is running"),
        (("exam", "finish"), 1, "No exam is running"),
        (("exam", "report"), 1, "has no exam"),
        (("exam", "start", "--minutes", "0"), 2, "Invalid value"),
        (("exam", "start", "--minutes", "60", "--questions", "99"), 1, " questions, not 99"),
        (("exam", "start", "--minutes", "2"), 1, "fits into 2 minutes"),
        (("exam", "start", "--blueprint", "MLA-C01"), 1, "retired on 2026-09-28"),
        (("exam", "start"), 1, "does not answer"),
    ],
)
def test_what_can_not_be_done_says_why(run: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, shown = run(*arguments)
    assert found == code
    assert said in shown


def test_without_a_pack_nobody_stops_the_clock(run: Run, exams: Exams) -> None:
    _start(exams)
    for action in ("pause", "extend"):
        code, said = run("exam", action, "ANY-CODE")
        assert (code, "started without a pack" in said) == (1, True)


def test_practice_is_reported_by_competency_and_domain(run: Run) -> None:
    code, said = run("gradebook", "report", "--blueprint", "PMLE")
    assert code == 0
    assert "not tried" in said
    assert "G4 serve and scale 20 %" in said
