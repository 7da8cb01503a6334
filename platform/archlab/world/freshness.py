"""Whether an answer could still be used. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from archlab.spec.airline import Timeliness
from archlab.spec.business import ModelCard
from archlab.spec.callers import Caller
from archlab.spec.release import FeatureSnapshot
from archlab.spec.scenario import Scenario

REQUEST = "request"


def view_ages(card: ModelCard, snapshot: FeatureSnapshot | None, asked: datetime) -> dict[str, timedelta]:
    """Age of every feature view that the model reads, at the moment of the request."""
    read = {column.source for column in card.columns} - {REQUEST}
    views = snapshot.views if snapshot else ()
    return {v.view: asked - v.materialized for v in views if v.view in read}


def cadence(declared: Scenario) -> dict[str, timedelta]:
    """How often each view is renewed as the scenario declares it, whatever the learner made of it."""
    return {f.view: f.every for f in declared.features}


def is_stale(
    caller: Caller, declared: Mapping[str, timedelta], ages: Mapping[str, timedelta], table_age: timedelta | None
) -> bool:
    """Whether what the answer rests on is older than the caller accepts.

    A precomputed answer must not be older than `max_age`. Nor must a feature view, unless it is declared to be renewed
    less often than that (28-day averages change once a day): then its own cadence counts.
    """
    if table_age is not None:
        return table_age > caller.max_age
    return any(age > max(caller.max_age, declared.get(view, timedelta())) for view, age in ages.items())


def timeliness(caller: Caller, *, answered: bool, stale: bool, latency_ms: float) -> Timeliness:
    """Missing before stale before late: what follows from the design before what was measured."""
    if not answered:
        return Timeliness.MISSING
    if stale:
        return Timeliness.STALE
    return Timeliness.LATE if latency_ms > caller.deadline_ms else Timeliness.ON_TIME
