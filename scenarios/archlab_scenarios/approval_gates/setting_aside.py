"""Truths about exceptions and ends: what is granted, what still stands on a day, what may be retired then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from archlab.registry.exceptions import end_of
from archlab.spec.grading import Evidence, Truth
from archlab.spec.scenario import Variant

LONGEST = timedelta(days=30)
"""How long an exception may last, by the rule exception/limited."""

LAST_DAY = "2014-01-20"
"""The day that the questions name; a date counts to its end."""

WAIVABLE = ("promotion/enough_holdout",)
"""Of the rules that the question names, those that an exception may stand in for."""


def review(evidence: Evidence) -> datetime:
    """The day that is asked about."""
    return evidence.scenario.starts + timedelta(days=int(evidence.scenario.knobs["review-days"]))


def ends() -> datetime:
    """The end of the day that is named."""
    found = end_of(LAST_DAY)
    return found if found else datetime.max.replace(tzinfo=UTC)


def set_aside(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: which rules are set aside on the day of the review, of exceptions that were asked for at the start."""
    counted = evidence.scenario.starts + timedelta(days=int(evidence.scenario.knobs["days-later"]))
    asked = {
        "dated": ("promotion/enough_holdout", "arrival-delay", "approver", ends()),
        "counted": ("promotion/enough_holdout", "airport-congestion", "approver", counted),
        "four-eyes": ("promotion/approved_by_another", "departure-delay", "approver", ends()),
        "own": ("promotion/enough_holdout", "cancellation-risk", "care-lead", ends()),
    }
    stands = [
        key
        for key, (rule, model, who, until) in asked.items()
        if granted(evidence, rule, model, who, until) and until > review(evidence)
    ]
    return Truth(
        answer=stands or ["none"],
        facts={"when": f"{review(evidence):%d %B, %H:%M}", "dated": f"{ends():%d %B, %H:%M}"},
    )


def granted(evidence: Evidence, rule: str, model: str, who: str, until: datetime) -> bool:
    """Whether the gate grants it at the start: a rule that can be waived, not for long, not for one's own work."""
    authors = {v.author for v in evidence.versions if v.model == model}
    return rule in WAIVABLE and who not in authors and until - evidence.scenario.starts <= LONGEST


def past_the_sunset(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: what holds on the day of the review for a model that was deprecated at the start, and then left alone."""
    over = review(evidence) >= ends()
    holds = {"answered": True, "told": True, "retire": over, "gone": False}
    return Truth(
        answer=[key for key, so in holds.items() if so],
        facts={"when": f"{review(evidence):%d %B}", "sunset": f"{ends():%d %B, %H:%M}"},
    )
