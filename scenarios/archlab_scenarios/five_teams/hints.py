"""Which hint fits the lab as it stands. Named in the questions."""

from __future__ import annotations

from archlab.spec.grading import Evidence
from archlab.spec.scenario import Variant
from archlab_scenarios.five_teams import books, mistakes


def no_day_yet(evidence: Evidence, _variant: Variant) -> bool:
    """No whole business day is on the books."""
    return not books.whole_days(evidence)


def lent_too_much(evidence: Evidence, variant: Variant) -> bool:
    """The model may be read as well."""
    return mistakes.lent_too_much(evidence, variant)


def still_tight(evidence: Evidence, variant: Variant) -> bool:
    """The quota stands, and nothing is borrowed."""
    return mistakes.still_tight(evidence, variant)
