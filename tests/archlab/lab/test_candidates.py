"""What is left to do for a candidate: each step once, in order, however often a killed `up` is run again."""

from __future__ import annotations

import pytest

from archlab.lab.candidates import Step, left_to_do
from archlab.spec.candidates import Candidate
from archlab.spec.grading import VersionFacts

CANDIDATE = Candidate(
    name="second-try",
    model="flight-time",
    approved_by="approver",
    better_percent=1,
    amended_percent=2,
    hold="a complaint",
    promoted=True,
)
AMENDED = 4.9


def _facts(*, approved: bool = False, value: float = 4.95, **tags: str) -> VersionFacts:
    return VersionFacts(
        model="flight-time",
        version="2",
        aliases=(),
        author="trainer",
        approved_by="approver" if approved else "",
        metrics={"mae": value},
        tags={"archlab.metric": "mae", **{f"archlab.{k}": v for k, v in tags.items()}},
    )


@pytest.mark.parametrize(
    ("facts", "steps"),
    [
        (_facts(), [Step.APPROVE, Step.AMEND, Step.HOLD, Step.PROMOTE]),
        (_facts(approved=True), [Step.AMEND, Step.HOLD, Step.PROMOTE]),
        (_facts(approved=True, value=AMENDED), [Step.HOLD, Step.PROMOTE]),
        (_facts(approved=True, value=AMENDED, hold="a complaint"), [Step.PROMOTE]),
        (_facts(approved=True, value=AMENDED, hold="a complaint", promoted_at="2013-12-22"), []),
    ],
)
def test_a_killed_up_goes_on_where_it_was(facts: VersionFacts, steps: list[Step]) -> None:
    assert left_to_do(CANDIDATE, facts, AMENDED) == steps


def test_nothing_is_done_that_is_not_declared() -> None:
    assert left_to_do(Candidate(name="plain", model="flight-time"), _facts(), AMENDED) == []
