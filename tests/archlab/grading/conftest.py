"""A small scenario's content, and a practice over synthetic evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.grading.content import Pack, load
from archlab.grading.exams import Exams
from archlab.grading.practice import Practice
from clocks import Clocks, Laboratory

QUESTIONS = """\
format: archlab/questions/v1
questions:
  - id: pick
    title: Pick one
    kind: choice
    text: Which?
    truth: pick
    points: 10
    minutes: 1
    difficulty: easy
    competencies: [SRV-01]
    domains: [PMLE/G4]
    options:
      - {key: left, text: Left, misconception: Left is too dear.}
      - {key: right, text: Right}
      - {key: up, text: Up}
      - {key: down, text: Down}
    hints:
      - {text: Think., cost_percent: 20}
      - {text: Think harder., cost_percent: 30}
    explanation: "It costs {cost:.2f} USD."
  - id: guess
    title: Forecast days
    kind: predict
    text: How many days?
    truth: days
    points: 10
    minutes: 1
    difficulty: easy
    competencies: [SRV-01]
    domains: [PMLE/G4]
    unit: days
    tolerance_percent: 10
    near_percent: 50
    explanation: "{days} days."
  - id: reach
    title: Reach it
    kind: state
    text: Get there.
    truth: reach
    points: 5
    minutes: 1
    difficulty: easy
    competencies: [SRV-01]
    domains: [PMLE/G4]
    explanation: "There."
  - id: broken
    title: Ours
    kind: numeric
    text: What?
    truth: broken
    points: 5
    minutes: 1
    difficulty: easy
    competencies: [SRV-01]
    domains: [PMLE/G4]
    tolerance_percent: 1
    explanation: "Never."
"""

TRUTHS = '''\
"""Truths over the number of days."""
from archlab.spec.grading import Truth


def pick(evidence, variant):
    return Truth(answer="right", facts={"cost": 1.5})


def days(evidence, variant):
    n = len(evidence.daily)
    return Truth(answer=n, facts={"days": n}, blocked="" if n else "archlab clock advance 1d")


def reach(evidence, variant):
    n = len(evidence.daily)
    return Truth(answer=n >= 2, saw=f"{n} days.", looked_for="two days.")


def broken(evidence, variant):
    raise ZeroDivisionError("oops")
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scenario's folder."""
    made = tmp_path / "scenario"
    made.mkdir()
    (made / "questions.yaml").write_text(QUESTIONS)
    (made / "truths.py").write_text(TRUTHS)
    return made


@pytest.fixture
def pack(folder: Path) -> Pack:
    return load(folder)


@pytest.fixture
def laboratory() -> Laboratory:
    return Laboratory()


@pytest.fixture
def practice(pack: Pack, laboratory: Laboratory, tmp_path: Path) -> Practice:
    return Practice(pack, tmp_path / "lab", laboratory.collect)


Advance = Callable[[int], None]


@pytest.fixture
def advance(laboratory: Laboratory) -> Advance:
    """Let so many days pass."""

    def move(days: int) -> None:
        laboratory.days += days

    return move


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def exams(pack: Pack, laboratory: Laboratory, tmp_path: Path, clocks: Clocks) -> Exams:
    return Exams(pack, tmp_path / "lab", laboratory.collect, clocks.now)
