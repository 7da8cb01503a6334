"""What is right, computed from the learner's own lab: one function per question, pure over evidence."""

from __future__ import annotations

from archlab_scenarios.approval_gates.asking import (
    gets_through,
    only_the_honest,
    passes_in_the_freeze,
    two_people,
)
from archlab_scenarios.approval_gates.foreseeing import (
    approval_holds,
    first_stopped,
    last_hour,
    margin_for_luck,
    may_be_deleted,
    smallest_step,
)
from archlab_scenarios.approval_gates.house_rules import (
    comparable_cases,
    comparable_evidence,
    requested_by_another,
    requester_cases,
)
from archlab_scenarios.approval_gates.setting_aside import past_the_sunset, set_aside

__all__ = [
    "approval_holds",
    "comparable_cases",
    "comparable_evidence",
    "first_stopped",
    "gets_through",
    "last_hour",
    "margin_for_luck",
    "may_be_deleted",
    "only_the_honest",
    "passes_in_the_freeze",
    "past_the_sunset",
    "requested_by_another",
    "requester_cases",
    "set_aside",
    "smallest_step",
    "two_people",
]
