"""The questions hold by recorded evidence; truths and solutions broken one by one are each caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.grading.proof.findings import Check
from archlab.plan.loading import scenario_folder
from proofs import broken, proven

FOLDER = scenario_folder("approval-gates")


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
def test_a_broken_solution_is_caught(tmp_path: Path, question: str, old: str, new: str, check: Check) -> None:
    found = proven(broken(FOLDER, tmp_path, old, new), question, variants=12)
    assert check in {f.check for f in found}
    assert {f.question for f in found} <= {question, ""}
