"""Which hint fits the lab as it stands. Named in questions*.yaml."""

from __future__ import annotations

from archlab.spec.grading import Evidence
from archlab.spec.scenario import Variant
from archlab_scenarios.approval_gates import asking
from archlab_scenarios.approval_gates import standing as at


def no_rule_of_mine(evidence: Evidence, _variant: Variant) -> bool:
    """No decision so far names a rule of the learner's."""
    return not any(at.own_rules(d) for d in evidence.decisions)


def refuses_honest(evidence: Evidence, _variant: Variant) -> bool:
    """A rule of the learner's refuses who keeps the house's rules."""
    return asking.refused_honest(evidence)


def not_frozen_yet(evidence: Evidence, _variant: Variant) -> bool:
    """The business clock has not reached the freeze."""
    return not asking.is_frozen(evidence.clock)
