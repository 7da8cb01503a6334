"""The ten-model questions hold by recorded evidence; truths and solutions broken one by one are each caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.grading.proof.findings import Check
from proofs import broken, proven
from synthetic import ten_models


@pytest.mark.parametrize(
    ("question", "old", "new"),
    [
        ("cheapest-resilient", 'answer="one-replica" if one < batch', 'answer="one-replica" if one > batch'),
        ("break-even-volume", "even = (online - runs) / lookup", "even = online / lookup / 2"),
        ("beyond-rescue", "if score.value_nanousd < least:", "if score.net_nanousd < 0:"),
        ("second-replica", "* Fraction(HOURS_AWAY, 24)", "* Fraction(HOURS_AWAY, 12)"),
        ("split-the-platform", "Truth(answer=ordered[0], facts", "Truth(answer=ordered[-1], facts"),
        ("cheaper-and-fresh", "target = Fraction(9, 10) * possible", "target = Fraction(19, 10) * possible"),
    ],
)
def test_a_broken_truth_is_caught(tmp_path: Path, question: str, old: str, new: str) -> None:
    found = proven(broken(ten_models(), tmp_path, old, new, "truths.py"), question, variants=12)
    assert Check.SOLUTION in {f.check for f in found}
    assert {f.question for f in found} <= {question, ""}


@pytest.mark.parametrize(
    ("question", "old", "new", "check"),
    [
        ("cheapest-resilient", "if 2 * every_s <=", "if every_s <=", Check.SOLUTION),
        (
            "break-even-volume",
            "factor * real) < _online(evidence, name, 2)",
            "real) < _online(evidence, name, 2)",
            Check.SOLUTION,
        ),
        ("beyond-rescue", "_score(day, m).value_nanousd / 1e9 <", "_score(day, m).net_nanousd / 1e9 <", Check.SOLUTION),
        ("dearest-answer", "key=each, reverse=True", "key=each", Check.SOLUTION),
        ("split-the-platform", "return min(held", "return max(held", Check.SOLUTION),
        (
            "cheaper-and-fresh",
            'yield f"archlab set {name} mode batch"\n    for',
            'yield "true"\n    for',
            Check.RECORDING,
        ),
    ],
)
def test_a_broken_solution_is_caught(tmp_path: Path, question: str, old: str, new: str, check: Check) -> None:
    found = proven(broken(ten_models(), tmp_path, old, new), question, variants=12)
    assert check in {f.check for f in found}
    assert {f.question for f in found} <= {question, ""}
