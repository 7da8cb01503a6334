"""The questions hold by recorded evidence; truths and solutions broken one by one are each caught."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.grading.proof import checking, recording
from archlab.grading.proof.findings import Check, Finding
from archlab.plan.loading import scenario_folder

FOLDER = scenario_folder("approval-gates")
Prove = Callable[..., list[Finding]]


def _proven(folder: Path, question: str) -> list[Finding]:
    made = checking.read(folder)
    asked = [made.pack.question(question)]
    takes = recording.load(folder)
    stale = [f for f in recording.stale(made.pack, made.solutions) if f.question == question]
    return [*stale, *checking.prove(made, takes, asked, lambda _step, _detail: None, variants=12)]


@pytest.fixture
def prove(tmp_path: Path) -> Prove:
    """Break one file of a copy and prove one question by what was recorded."""

    def run(question: str, file: str, old: str, new: str) -> list[Finding]:
        folder = tmp_path / FOLDER.name
        shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
        text = (folder / file).read_text()
        assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
        (folder / file).write_text(text.replace(old, new))
        return _proven(folder, question)

    return run


@pytest.mark.parametrize(
    ("question", "old", "new", "check"),
    [
        ("gets-through", "bar[version.model] = _figure(version)", "pass", Check.RECORDING),
        ("margin-for-luck", "math.sqrt(rows / 1000)", "(rows / 1000)", Check.SOLUTION),
        ("last-hour", "23 <= now.day <= 26", "24 <= now.day <= 26", Check.SOLUTION),
        (
            "approval-holds",
            '<= 30:\n        kept.append("days")',
            '<= 60:\n        kept.append("days")',
            Check.SOLUTION,
        ),
        ("may-be-deleted", ">= 30:", ">= 7:", Check.SOLUTION),
        ("smallest-step", "or not declared.approved_by", "and not declared.approved_by", Check.SOLUTION),
        ("first-stopped", '("approves", "approve")', '("approves", "promote")', Check.SOLUTION),
        ("comparable-evidence", 'f"percent := {', 'f"percent := 1{', Check.SOLUTION),
    ],
)
def test_a_broken_solution_is_caught(prove: Prove, question: str, old: str, new: str, check: Check) -> None:
    found = prove(question, "solution/solutions.py", old, new)
    assert check in {f.check for f in found}
    assert {f.question for f in found} <= {question, ""}
