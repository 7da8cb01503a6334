"""Hints react to the state of the lab: the first one whose condition holds comes next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.errors import LabStateError, SpecError
from archlab.grading.content import load
from archlab.grading.practice import Practice
from archlab.spec.grading import Evidence
from clocks import Laboratory

HINTS = """\
    hints:
      - {text: Let a day pass., cost_percent: 5, when: no_day}
      - {text: Broken., cost_percent: 5, when: fails}
      - {text: You have what you need., cost_percent: 20, when: some_days}
      - {text: It is right., cost_percent: 30}
"""

FUNCTIONS = """\
def no_day(evidence, variant):
    return not evidence.daily

def some_days(evidence, variant):
    return bool(evidence.daily)

def fails(evidence, variant):
    raise KeyError("gone")
"""


@pytest.fixture
def practice(folder: Path, laboratory: Laboratory, tmp_path: Path) -> Practice:
    path = folder / "questions.yaml"
    plain = path.read_text()
    start, end = plain.index("    hints:"), plain.index("    explanation:")
    path.write_text(plain[:start] + HINTS + plain[end:])
    (folder / "hints.py").write_text(FUNCTIONS)
    return Practice(load(folder), tmp_path / "lab", laboratory.collect)


def _texts(practice: Practice) -> list[str]:
    return [h.text for h in practice.hint("pick")]


def test_the_first_that_fits_is_given_and_charged(practice: Practice, advance: Callable[[int], None]) -> None:
    assert _texts(practice) == ["Let a day pass."]
    assert practice.standing("pick").hint_cost_percent == 5
    advance(1)
    assert _texts(practice)[-1] == "You have what you need."
    assert practice.standing("pick").hint_cost_percent == 25
    assert _texts(practice)[-1] == "It is right."


def test_what_does_not_fit_is_skipped(practice: Practice, advance: Callable[[int], None]) -> None:
    advance(1)
    assert _texts(practice) == ["You have what you need."]
    assert _texts(practice) == ["You have what you need.", "It is right."]
    assert len(practice.book.entries()) == 2


def test_when_none_fits_nothing_is_charged(practice: Practice, advance: Callable[[int], None]) -> None:
    for _ in range(2):
        practice.hint("pick")
    assert practice.standing("pick").hint_cost_percent == 35
    before = practice.book.entries()
    assert _texts(practice) == ["Let a day pass.", "It is right."]
    assert practice.book.entries() == before
    advance(1)
    assert _texts(practice)[-1] == "You have what you need."


def test_prices_of_those_that_may_come_next(practice: Practice) -> None:
    assert [h.cost_percent for h in practice.standing("pick").next_hints] == [5, 5, 20, 30]
    practice.answer("pick", "right")
    assert practice.standing("pick").next_hints == ()


def test_a_condition_that_fails_does_not_hold_and_leaves_a_trace(practice: Practice, tmp_path: Path) -> None:
    practice.hint("pick")
    practice.hint("pick")
    assert "hint fails" in (tmp_path / "lab" / "log" / "grading.log").read_text()


def test_a_lab_that_is_down_is_said_and_nothing_charged(folder: Path, practice: Practice, tmp_path: Path) -> None:
    def down() -> Evidence:
        raise LabStateError("Lab x is down.", "archlab up")

    without = Practice(practice.pack, tmp_path / "lab", down)
    with pytest.raises(LabStateError, match="is down"):
        without.hint("pick")
    assert without.book.entries() == ()


def test_without_conditions_the_lab_is_not_looked_at(folder: Path, laboratory: Laboratory, tmp_path: Path) -> None:
    plain = Practice(load(folder), tmp_path / "lab", laboratory.collect)
    plain.hint("pick")
    assert laboratory.taken == 0


def test_a_condition_without_its_function_names_file_line_and_field(folder: Path, practice: Practice) -> None:
    (folder / "hints.py").write_text("def no_day(evidence, variant):\n    return True\n")
    with pytest.raises(SpecError, match=r"questions.yaml:\d+: pick: hints.when: .* has no function 'fails'"):
        load(folder)
