"""Which hint fits the lab as it stands. Named in the questions."""

from __future__ import annotations

from archlab.spec.grading import Evidence
from archlab.spec.scenario import Variant
from archlab_scenarios.disaster_recovery import books, mistakes


def no_day_yet(evidence: Evidence, _variant: Variant) -> bool:
    """No whole business day is on the books."""
    return not books.whole_days(evidence)


def gave_up_sync(evidence: Evidence, variant: Variant) -> bool:
    """Replication was set to async while the line was cut, and writes still wait."""
    return mistakes.gave_up_sync(evidence, variant)


def one_leg(evidence: Evidence, variant: Variant) -> bool:
    """The second region took over, and nothing stands behind it."""
    return mistakes.one_leg(evidence, variant)
