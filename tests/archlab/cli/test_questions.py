"""The commands around questions, with the lab's processes down: what needs no lab works, what needs one says so."""

from __future__ import annotations

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


def test_the_sheet_lists_every_question(run: Run) -> None:
    code, said = run("questions", "--json")
    sheet = json.loads(said)
    assert code == 0
    assert [row["id"] for row in sheet] == [q.id for q in load(ten_models()).questions]
    assert {q["kind"] for q in sheet} >= {"choice", "numeric", "predict", "state"}
    code, said = run("questions")
    assert code == 0
    assert "break-even-volume" in said
    assert f"0 of {sum(row['possible'] for row in sheet)} points" in said


def test_a_question_is_shown_with_options_and_rules(run: Run) -> None:
    code, said = run("question", "cheapest-resilient")
    assert code == 0
    assert "one-replica" in said
    assert "can earn 10" in said
    assert "costs more than the runs" not in said


def test_every_question_shows(run: Run) -> None:
    for question in load(ten_models()).questions:
        assert run("question", question.id)[0] == 0
        assert json.loads(run("question", question.id, "--json")[1])["text"]


def test_a_hint_names_its_price_and_lowers_what_can_be_earned(run: Run) -> None:
    code, said = run("hint", "break-even-volume")
    assert code == 0
    assert "costs 20 %" in said
    assert "can earn 8 of 10" in said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("answer", "cheapest-resilient", "sideways"), 1, "not an option"),
        (("answer", "nonsense", "1"), 1, "There is no question 'nonsense'"),
        (("question", "break-even-volum"), 1, "Did you mean break-even-volume?"),
        (("answer", "break-even-volume", "12"), 1, "does not answer"),
        (("grade",), 1, "does not answer"),
        (("answer",), 2, "Missing argument"),
    ],
)
def test_what_cannot_be_done_says_why(run: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, shown = run(*arguments)
    assert found == code
    assert said in " ".join(shown.split())
