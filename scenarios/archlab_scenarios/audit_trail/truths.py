"""What is right, computed from the learner's own lab: one function per question, pure over evidence."""

from __future__ import annotations

from archlab_scenarios.audit_trail.consequences import (
    how_often,
    provable_again,
    removed_or_never,
    what_shows_the_file,
    which_moves_pass,
    who_has_to_stop,
    whose_way_is_broken,
)
from archlab_scenarios.audit_trail.logs import (
    answers_in_doubt,
    how_many_proven,
    what_it_hides,
    what_may_be_claimed,
    what_shows_it,
)

__all__ = [
    "answers_in_doubt",
    "how_many_proven",
    "how_often",
    "provable_again",
    "removed_or_never",
    "what_it_hides",
    "what_may_be_claimed",
    "what_shows_it",
    "what_shows_the_file",
    "which_moves_pass",
    "who_has_to_stop",
    "whose_way_is_broken",
]
