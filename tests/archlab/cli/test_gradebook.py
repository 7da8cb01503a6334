"""The gradebook's commands, with the lab's processes down."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.cli import main
from archlab.grading.content import load
from archlab.grading.practice import Practice
from archlab.settings import LabFolder
from labs import still_lab
from synthetic import World, ten_models

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabFolder:
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    return still_lab(tmp_path / "home")


@pytest.fixture
def run(lab: LabFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; exit code and everything it said."""

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["archlab", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return call


@pytest.fixture
def practice(lab: LabFolder) -> Practice:
    """The same gradebook that the commands read, fed with synthetic evidence."""
    return Practice(load(ten_models()), lab.root, World().evidence)


def test_the_gradebook_is_shown_verified_and_judged_again(run: Run, practice: Practice) -> None:
    practice.answer("dearest-answer", "flight-time,delay-recovery,missed-connection,aircraft-reliability")
    practice.hint("second-replica")
    practice.answer("forecast-batch-day", "3.5")
    code, said = run("gradebook", "show")
    assert code == 0
    assert all(word in said for word in ("attempt", "hint", "forecast", "dearest-answer"))
    assert [q["forecast"] for q in json.loads(run("questions", "--json")[1]) if q["forecast"]] == [3.5]
    code, said = run("gradebook", "verify")
    assert (code, "3 entries" in said) == (0, True)
    code, said = run("gradebook", "regrade", "--json")
    assert code == 0
    assert [r["agrees"] for r in json.loads(said)] == [True]


def test_a_changed_gradebook_is_refused(run: Run, practice: Practice, lab: LabFolder) -> None:
    practice.hint("second-replica")
    path = lab.root / "gradebook.jsonl"
    path.write_text(path.read_text().replace('"cost_percent":15', '"cost_percent":0'))
    for command in (("gradebook", "verify"), ("questions",)):
        code, said = run(*command)
        assert code == 1
        assert "line 1 was changed" in " ".join(said.split())


def test_an_unfinished_line_is_set_aside_with_a_message(run: Run, practice: Practice, lab: LabFolder) -> None:
    practice.hint("second-replica")
    with (lab.root / "gradebook.jsonl").open("a") as file:
        file.write('{"half')
    code, said = run("gradebook", "verify")
    assert code == 0
    assert "set aside" in said


def test_a_cut_end_shows_against_a_noted_head(run: Run, practice: Practice, lab: LabFolder) -> None:
    practice.hint("second-replica")
    practice.hint("break-even-volume")
    head = json.loads(run("gradebook", "verify", "--json")[1])["head"]
    practice.hint("dearest-answer")
    code, said = run("gradebook", "verify", "--head", head[:20])
    assert (code, "entry 2; 1 came since" in said) == (0, True)
    path = lab.root / "gradebook.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    assert run("gradebook", "verify")[0] == 0
    code, said = run("gradebook", "verify", "--head", head)
    assert (code, "cut off" in said) == (1, True)
    assert run("gradebook", "verify", "--head", "0")[0] == 1


def test_it_is_exported_for_other_programs(run: Run, practice: Practice, tmp_path: Path) -> None:
    practice.answer("dearest-answer", "flight-time,delay-recovery,missed-connection,aircraft-reliability")
    practice.hint("second-replica")
    rows = list(csv.DictReader(run("gradebook", "export")[1].splitlines()))
    assert [r["entry"] for r in rows] == ["attempt", "hint"]
    assert rows[0]["answer"].startswith("flight-time,delay-recovery")
    found = json.loads(run("gradebook", "export", "--format", "json")[1])
    assert [r["question"] for r in found] == ["dearest-answer", "second-replica"]
    assert run("gradebook", "export", "-o", str(tmp_path / "out.csv"))[0] == 0
    assert len(list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))) == 2


def test_what_is_judged_otherwise_today_is_listed(run: Run, practice: Practice, lab: LabFolder) -> None:
    practice.answer("cheapest-resilient", "nightly")
    assert "0 of 1 differ" in run("regrade")[1]
    assert json.loads(run("regrade", "--changed", "--json")[1]) == []
    for path in (lab.root / "evidence").iterdir():
        path.unlink()
    (found,) = json.loads(run("gradebook", "regrade", "--changed", "--json")[1])
    assert (found["then"], found["now"], found["agrees"]) == ("incorrect", None, False)
