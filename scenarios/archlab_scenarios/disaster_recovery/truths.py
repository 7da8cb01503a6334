"""What is right, computed from the learner's own lab: one function per question, pure over evidence."""

from __future__ import annotations

from archlab_scenarios.disaster_recovery.noticing import first_move, how_many_failures, who_still_answers
from archlab_scenarios.disaster_recovery.planning import (
    cheapest_for_promise,
    how_far_apart,
    how_many_losses,
    keep_how_many,
    what_comes_back,
    worth_first,
)
from archlab_scenarios.disaster_recovery.promising import promises_in_budget
from archlab_scenarios.disaster_recovery.taking_over import (
    back_on_two_legs,
    by_itself,
    never_restored,
    rto_from_fault,
    what_is_lost,
    writes_again,
)

__all__ = [
    "back_on_two_legs",
    "by_itself",
    "cheapest_for_promise",
    "first_move",
    "how_far_apart",
    "how_many_failures",
    "how_many_losses",
    "keep_how_many",
    "never_restored",
    "promises_in_budget",
    "rto_from_fault",
    "what_comes_back",
    "what_is_lost",
    "who_still_answers",
    "worth_first",
    "writes_again",
]
