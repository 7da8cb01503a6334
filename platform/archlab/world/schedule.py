"""What falls due when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta

from archlab.errors import UserError
from archlab.spec.scenario import FeatureSchedule, Mode, Model

DAY = timedelta(days=1)
SCHEDULES_SINCE = datetime(2013, 1, 1, 8, tzinfo=UTC)
"""Feature schedules count from here: at 08:00 the daily views have their rows."""


def ticks(now: datetime, until: datetime, tick: timedelta) -> list[tuple[datetime, datetime]]:
    """The ticks from now to until, as (start, end).

    Raises:
        UserError: the span is not a whole number of ticks, or not ahead.
    """
    if until <= now:
        raise UserError(f"The clock stands at {now:%Y-%m-%d %H:%M}Z already.", "Advance to a later time.")
    count, rest = divmod(until - now, tick)
    if rest:
        raise UserError(
            f"From {now:%Y-%m-%d %H:%M}Z to {until:%Y-%m-%d %H:%M}Z is no whole number of ticks of {tick}.",
            "Advance by a multiple of the tick.",
        )
    return [(now + n * tick, now + (n + 1) * tick) for n in range(count)]


def batch_due(model: Model, after: datetime, until: datetime) -> datetime | None:
    """The newest moment with after < moment <= until at which the model's batch run falls due.

    Runs fall due at `batch_at` each day and every `batch_every` from there; one that is not in batch mode has none.
    """
    if model.mode is not Mode.BATCH:
        return None
    return max((m for m in _moments(model, until) if after < m <= until), default=None)


def views_due(features: Iterable[FeatureSchedule], start: datetime, tick: timedelta) -> list[str]:
    """Views that fall due in the tick before `start`, or at `start` itself: what is materialised for that tick."""
    return [f.view for f in features if (start - SCHEDULES_SINCE) % f.every < tick]


def _moments(model: Model, until: datetime) -> Iterator[datetime]:
    """Due moments of the last day before `until` or, for runs rarer than daily, the newest one."""
    midnight = datetime.combine(until.date(), time(), until.tzinfo)
    every = model.batch_every
    if every >= DAY:
        days = every // DAY
        number = midnight.toordinal()
        yield from (midnight - n * DAY + model.batch_at for n in range(days) if (number - n) % days == 0)
        return
    for day in (midnight - DAY, midnight):
        moment = day + model.batch_at
        while moment < day + DAY + model.batch_at:
            yield moment
            moment += every
