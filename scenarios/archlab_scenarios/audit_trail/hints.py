"""Which hint fits the lab as it stands. Named in questions*.yaml."""

from __future__ import annotations

from archlab.spec.grading import Evidence
from archlab.spec.scenario import Variant
from archlab_scenarios.audit_trail import consequences, logs, traces


def no_day_yet(evidence: Evidence, _variant: Variant) -> bool:
    """No whole business day is on the books."""
    return logs.last_day(evidence) is None


def chain_holds(evidence: Evidence, _variant: Variant) -> bool:
    """The log has no fault in itself."""
    return evidence.custody is not None and not evidence.custody.decision_faults


def exchanged_answers(evidence: Evidence, _variant: Variant) -> bool:
    """The version whose file was exchanged is champion."""
    return consequences.champion_is_exchanged(evidence)


def not_decided_anew(evidence: Evidence, _variant: Variant) -> bool:
    """The model of the edited record rests on no newer decision."""
    return not consequences.decided_anew(evidence, traces.before(evidence).query.resource.name)
