"""Answers that known misconceptions lead to, computed for the learner's own variant. Named in questions*.yaml."""

from __future__ import annotations

from math import sqrt

from archlab.spec.grading import Evidence
from archlab.spec.scenario import Variant
from archlab_scenarios.approval_gates import asking, foreseeing, house_rules
from archlab_scenarios.approval_gates import standing as at


def each_by_itself(evidence: Evidence, _variant: Variant) -> int | None:
    """gets-through: each is compared with the champion of the start, as if none of the others had been let through."""
    decisions = asking.first_asked(evidence)
    if decisions is None:
        return None
    only_below = {"below_champion"}
    rows = zip(at.waiting(evidence), decisions, strict=True)
    return sum(d.decision.allow or {r.code for r in d.decision.reasons} == only_below for _, d in rows)


def only_the_sound(evidence: Evidence, _variant: Variant) -> int | None:
    """gets-through: the gate refuses whatever is not right."""
    decisions = asking.first_asked(evidence)
    if decisions is None:
        return None
    rows = zip(at.waiting(evidence), decisions, strict=True)
    return sum(d.decision.allow and not at.objections(evidence, f) for f, d in rows)


def whoever_is_approved(evidence: Evidence, _variant: Variant) -> int:
    """gets-through: an approval is what the gate looks for."""
    return sum(bool(f.approved_by) for f in at.waiting(evidence))


def freeze_stops_all(_evidence: Evidence, _variant: Variant) -> list[str]:
    """in-the-freeze: nothing moves in those days."""
    return ["none"]


def approval_opens(evidence: Evidence, _variant: Variant) -> list[str]:
    """in-the-freeze: an approved candidate goes live at any time."""
    facts = at.named(evidence, str(evidence.scenario.knobs["emergency"]))
    return ["candidate", "challenger", *(["former"] if at.former_champions(evidence, facts.model) else [])]


def always_a_way_back(_evidence: Evidence, _variant: Variant) -> list[str]:
    """in-the-freeze: a rollback is always possible, and nothing else is."""
    return ["former"]


def refuses_honest(evidence: Evidence, _variant: Variant) -> bool:
    """only-the-honest: a rule of the learner's refuses who keeps the house's rules."""
    return asking.refused_honest(evidence)


def lets_flawed_through(evidence: Evidence, _variant: Variant) -> bool:
    """only-the-honest: a candidate that breaks the house's rules is champion."""
    return asking.flawed_live(evidence)


def one_look(evidence: Evidence, _variant: Variant) -> float:
    """margin-for-luck: the margin that a single retraining does not reach."""
    return foreseeing.luck(evidence, 1)


def rows_not_rooted(evidence: Evidence, _variant: Variant) -> float:
    """margin-for-luck: scatter falls with the rows, not with their root."""
    return foreseeing.luck(evidence, foreseeing.tries(evidence)) * sqrt(foreseeing.PER_ROWS / foreseeing.rows(evidence))


def rows_forgotten(evidence: Evidence, _variant: Variant) -> float:
    """margin-for-luck: the scatter on a thousand rows, whatever was measured on."""
    return foreseeing.luck(evidence, foreseeing.tries(evidence)) / sqrt(foreseeing.PER_ROWS / foreseeing.rows(evidence))


def freeze_forgotten(evidence: Evidence, _variant: Variant) -> float:
    """last-hour: the evidence's own end, though it lies in the freeze."""
    facts = at.named(evidence, str(evidence.scenario.knobs["urgent"]))
    return foreseeing.hours(evidence.scenario.starts, foreseeing.evidence_ends(facts))


def approval_counts(evidence: Evidence, _variant: Variant) -> float:
    """last-hour: thirty days from the approval."""
    return foreseeing.KEPT.total_seconds() / 3600


def other_data_passes(evidence: Evidence, variant: Variant) -> bool:
    """comparable-evidence: a better figure wins, whatever it was measured on."""
    return house_rules.ON_OTHER_DATA in _missed_comparable(evidence, variant, "allow")


def empty_is_alike(evidence: Evidence, variant: Variant) -> bool:
    """comparable-evidence: nothing equals nothing."""
    return house_rules.NO_DIGEST in _missed_comparable(evidence, variant, "allow")


def no_way_back(evidence: Evidence, variant: Variant) -> bool:
    """comparable-evidence: a rollback is held to the yardstick of today."""
    return house_rules.ROLLBACK in _missed_comparable(evidence, variant, "deny")


def author_is_the_robot(evidence: Evidence, variant: Variant) -> bool:
    """requested-by-another: looks at the author only, which is the service account for everybody's work."""
    return house_rules.REQUESTER_APPROVES in _missed_requester(evidence, variant, "allow")


def silence_passes(evidence: Evidence, variant: Variant) -> bool:
    """requested-by-another: a version of the service account that nobody asked for is let through."""
    missed = _missed_requester(evidence, variant, "allow")
    return house_rules.NOBODY_ASKED in missed and house_rules.REQUESTER_APPROVES not in missed


def everybody_needs_a_tag(evidence: Evidence, variant: Variant) -> bool:
    """requested-by-another: who registered in person has to be named a second time."""
    return house_rules.IN_PERSON in _missed_requester(evidence, variant, "deny")


def _missed_comparable(evidence: Evidence, variant: Variant, said: str) -> set[str]:
    return house_rules.missed(house_rules.comparable_cases(evidence, variant), evidence, said)


def _missed_requester(evidence: Evidence, variant: Variant, said: str) -> set[str]:
    return house_rules.missed(house_rules.requester_cases(evidence, variant), evidence, said)
