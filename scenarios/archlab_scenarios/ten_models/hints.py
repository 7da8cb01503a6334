"""Which hint fits the lab as it stands. Named in questions.yaml."""

from __future__ import annotations

from archlab.spec.grading import Evidence
from archlab.spec.scenario import Mode, Variant
from archlab_scenarios.ten_models import economics as eco
from archlab_scenarios.ten_models import gatekeeping as gate
from archlab_scenarios.ten_models import mistakes, truths


def nothing_moved(evidence: Evidence, _variant: Variant) -> bool:
    """The models that started online still are."""
    return all(m.mode is Mode.ONLINE for m in eco.started_online(evidence))


def runs_too_far_apart(evidence: Evidence, variant: Variant) -> bool:
    """A batch schedule leaves answers stale."""
    return mistakes.nightly_for_all(evidence, variant)


def needless_loss(evidence: Evidence, _variant: Variant) -> bool:
    """A model loses money that it could earn."""
    days = eco.full_days(evidence)
    return bool(days) and bool(truths.needless_losses(evidence, days))


def never_promoted(evidence: Evidence, _variant: Variant) -> bool:
    """The version that knows too much was never let through."""
    leaky = gate.leaky_version(evidence)
    return leaky is None or not any(d.decision.allow for d in gate.decisions_on(evidence, leaky.version))


def refuses_everything(evidence: Evidence, variant: Variant) -> bool:
    """The gate refuses that version, and honest ones with it."""
    return mistakes.refuses_everything(evidence, variant)
