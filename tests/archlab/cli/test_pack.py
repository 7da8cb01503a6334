"""The instructor's commands, from keys to the class's page, and a learner's commands with a pack."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.cli import main
from archlab.grading import packs
from archlab.grading.content import load
from archlab.grading.exams import Exams
from archlab.settings import LabFolder
from labs import still_lab
from synthetic import World, ten_models

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabFolder:
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
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
def pack(run: Run, tmp_path: Path) -> Path:
    """A pack with two seats for labs of seed 1."""
    assert run("pack", "key")[0] == 0
    path = tmp_path / "midterm.pack"
    order = ("--title", "Midterm", "--seats", "2", "--seed", "1", "--seed", "1", "--pause", "10", "--extend", "15")
    code, said = run("pack", "make", str(path), *order)
    assert (code, "seat-2" in said) == (0, True)
    return path


def _codes(pack: Path) -> dict[tuple[str, str], str]:
    with pack.with_name("midterm.codes.csv").open() as file:
        return {(row["seat"], row["purpose"]): row["code"] for row in csv.DictReader(file)}


def _start(lab: LabFolder, pack: Path, seat: str) -> Exams:
    """What `exam start` does, with evidence that needs no running lab."""
    exams = Exams(load(ten_models()), lab.root, World().evidence)
    made = packs.read(pack)
    packs.keep(made, lab.root)
    exams.start(packs.terms(made, _codes(pack)[seat, "start"], exams.pack))
    return exams


def test_codes_are_kept_private(pack: Path) -> None:
    assert pack.with_name("midterm.codes.csv").stat().st_mode & 0o777 == 0o600
    assert len(_codes(pack)) == 6


def test_the_instructors_codes_turn_the_clock_once(run: Run, lab: LabFolder, pack: Path) -> None:
    _start(lab, pack, "seat-1")
    codes = _codes(pack)
    assert run("exam", "extend", codes["seat-1", "extend"].lower())[1].startswith("15 minutes more: 1:14:5")
    assert "works once" in run("exam", "extend", codes["seat-1", "extend"])[1]
    assert "no code of seat seat-1" in run("exam", "extend", codes["seat-2", "extend"])[1]
    assert "at most 10 minutes" in run("exam", "pause", codes["seat-1", "pause"])[1]
    assert "is paused" in run("exam", "answer", "cheapest-resilient", "nightly")[1]
    assert "The clock runs" in run("exam", "resume")[1]


def test_from_hand_in_to_the_classes_page(run: Run, lab: LabFolder, pack: Path, tmp_path: Path) -> None:
    exams = _start(lab, pack, "seat-1")
    exams.finish()
    folder = tmp_path / "handed-in"
    folder.mkdir()
    code, said = run("gradebook", "hand-in", str(folder / "ada.zip"), "--name", "Ada [bold]")
    assert (code, "2 entries and their evidence" in said) == (0, True)
    code, said = run("pack", "grade", str(folder), "--pack", str(pack))
    assert code == 0
    assert "Ada [bold]" in said
    page = (folder / "report" / "class.html").read_text()
    assert "Midterm" in page
    assert "learner-001.html" in page
    assert "Ada" in (folder / "report" / "learner-001.html").read_text()
    (anchor,) = (lab.root.parent / "instructor" / "anchors.jsonl").read_text().splitlines()
    assert json.loads(anchor)["head"] == exams.book.verify().head
    found = json.loads(run("pack", "grade", str(folder), "--pack", str(pack), "--json")[1])
    assert [f["learner"] for f in found] == ["Ada [bold]"]
    assert len((lab.root.parent / "instructor" / "anchors.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("exam", "start", "--pack", "PACK"), 2, "start code of your seat"),
        (("exam", "start", "--pack", "PACK", "--code", "X"), 1, "No seat of this pack opens"),
        (("exam", "start", "--pack", "PACK", "--code", "X", "--minutes", "9"), 2, "The pack says how long"),
        (("exam", "start", "--pack", "nothing", "--code", "X"), 1, "nothing can't be read"),
        (("pack", "key"), 1, "exists already"),
        (("pack", "make", "PACK"), 1, "exists already"),
        (("pack", "grade", ".", "--pack", "PACK", "--key", "nothing"), 1, "Make the instructor's keys"),
        (("pack", "grade", "EMPTY", "--pack", "PACK"), 1, "has no hand-in"),
        (("gradebook", "hand-in", "x.zip", "--name", "Ada"), 1, "nothing to hand in"),
    ],
)
def test_what_can_not_be_done_says_why(
    run: Run, pack: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"PACK": str(pack), "EMPTY": str(tmp_path / "empty")}
    found, shown = run(*(places.get(a, a) for a in arguments))
    assert found == code
    assert said in shown


def test_a_name_can_not_draw_on_the_instructors_terminal(run: Run, lab: LabFolder, pack: Path, tmp_path: Path) -> None:
    exams = _start(lab, pack, "seat-1")
    folder = tmp_path / "handed-in"
    folder.mkdir()
    said = run("gradebook", "hand-in", str(folder / "eve.zip"), "--name", "Eve")[1]
    assert "exam-1 is not finished" in said
    assert "can't be a name" in run("gradebook", "hand-in", "x.zip", "--name", "a\x1b[2Jb")[1]
    exams.finish()
    (folder / "\x1b[31mred.zip").write_text("hello")
    said = run("pack", "grade", str(folder), "--pack", str(pack))[1]
    assert "?[31mred" in said
    assert "\x1b[31mred" not in said


def test_another_instructors_pack_is_not_graded(run: Run, pack: Path, tmp_path: Path) -> None:
    assert run("pack", "key", "--key", str(tmp_path / "other.json"))[0] == 0
    code, said = run("pack", "grade", str(tmp_path), "--pack", str(pack), "--key", str(tmp_path / "other.json"))
    assert (code, "another instructor's key" in said) == (1, True)
