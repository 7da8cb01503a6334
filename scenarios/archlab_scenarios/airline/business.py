"""The airline as the engine sees it: cards, requests of its callers, and what really happened.

Days are read once from the typed files and kept; a tick is then a slice of a list.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import duckdb

from archlab.errors import UserError
from archlab.spec.airline import Label
from archlab.spec.business import Ask, Business, ModelCard
from archlab.spec.callers import Caller

from . import events
from .cards import CARDS

DAY = timedelta(days=1)
WEEK = timedelta(days=7)

_Row = dict[str, Any]


class Airline:
    """The ten models' business; see `archlab.spec.business.Business`."""

    cards: Mapping[str, ModelCard] = CARDS

    def asks(self, data: Path, model: str, caller: Caller, start: datetime, end: datetime) -> Sequence[Ask]:
        """Requests with start < asked <= end, in order of `asked`."""
        card, source = self.cards[model], _source(model, caller)
        return [_ask(card, row, source) for row in source.asked(data, start, end) if _arises(model, caller, row)]

    def labels(self, data: Path, model: str, caller: Caller, start: datetime, end: datetime) -> Sequence[Label]:
        """Outcomes with start < known <= end, for subjects that `asks` yields."""
        source = _source(model, caller)
        rows = (row for row in source.known(data, start, end) if _arises(model, caller, row))
        return [_label(model, row, source) for row in rows if row[f"actual_{model}"] is not None]

    def batch_asks(self, data: Path, model: str, caller: Caller, when: datetime) -> Sequence[Ask]:
        """Subjects that a batch run at `when` scores ahead, as known at `when`.

        Flights of the following day that have not left yet; every aircraft seen in the week before; every route.
        """
        card, source = self.cards[model], _source(model, caller)
        return [_ask(card, row, source, when) for row in source.ahead(data, when)]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a caller's subjects come from. Times in and out are aware; rows carry `asked` and `known`."""

    subject: Callable[[_Row], str]
    asked: Callable[[Path, datetime, datetime], list[_Row]]
    known: Callable[[Path, datetime, datetime], list[_Row]]
    ahead: Callable[[Path, datetime], list[_Row]]


def _source(model: str, caller: Caller) -> _Source:
    fits = {
        "airport-congestion": ("origin-half-hourly",),
        "aircraft-reliability": ("tail-daily",),
        "route-segments": ("route-daily",),
    }.get(model, ("flight-scheduled", "flight-departed"))
    if caller.asks not in fits:
        raise UserError(
            f"{model} can't be asked by {caller.asks!r}.", f"Let the caller of {model} ask by: {', '.join(fits)}."
        )
    match caller.asks:
        case "flight-scheduled":
            return _flights_scheduled(caller.lead)
        case "flight-departed":
            return _flights_departed()
        case "origin-half-hourly":
            return _slots()
        case "tail-daily":
            return _aircraft(_o_clock(caller))
        case _:
            return _routes(_o_clock(caller))


def _flights_scheduled(lead: timedelta) -> _Source:
    def moved(rows: list[_Row]) -> list[_Row]:
        return [{**row, "asked": row["sched_dep"] - lead} for row in rows]

    return _Source(
        subject=_flight,
        asked=lambda data, start, end: moved(_flight_rows(data, "sched_dep", start + lead, end + lead)),
        known=lambda data, start, end: moved(_flight_rows(data, "known", start, end)),
        ahead=lambda data, when: moved(_not_left(data, when, when + lead, when + lead + DAY)),
    )


def _flights_departed() -> _Source:
    def left(rows: list[_Row]) -> list[_Row]:
        return [{**row, "asked": row["dep"]} for row in rows if row["dep"] is not None]

    def planned(rows: list[_Row]) -> list[_Row]:
        return [{**row, "asked": row["sched_dep"]} for row in rows]

    return _Source(
        subject=_flight,
        asked=lambda data, start, end: left(_flight_rows(data, "dep", start, end)),
        known=lambda data, start, end: left(_flight_rows(data, "known", start, end)),
        ahead=lambda data, when: planned(_not_left(data, when, when - timedelta(hours=6), when + DAY)),
    )


def _slots() -> _Source:
    def read(data: Path, start: datetime, end: datetime) -> list[_Row]:
        return _sliced(data, "slots", timedelta(0), "asked", start, end)

    return _Source(
        subject=lambda row: f"{row['origin']}@{row['slot']}",
        asked=read,
        known=lambda data, start, end: _sliced(data, "slots", timedelta(0), "known", start, end),
        ahead=lambda data, when: read(data, when, when + DAY),
    )


def _aircraft(at: timedelta) -> _Source:
    def ahead(data: Path, when: datetime) -> list[_Row]:
        o_clock = when.astimezone(UTC) - datetime(when.year, when.month, when.day, tzinfo=UTC)
        query = events.aircraft(_naive(when) - timedelta(minutes=1), _naive(when), o_clock, seen_days=7)
        return _rows(data, query)

    return _Source(
        subject=lambda row: str(row["tailnum"]),
        asked=lambda data, start, end: _sliced(data, "aircraft", at, "asked", start, end),
        known=lambda data, start, end: _sliced(data, "aircraft", at, "known", start, end),
        ahead=ahead,
    )


def _routes(at: timedelta) -> _Source:
    return _Source(
        subject=lambda row: str(row["route"]),
        asked=lambda data, start, end: _sliced(data, "routes", at, "asked", start, end),
        known=lambda data, start, end: _sliced(data, "routes", at, "known", start, end),
        ahead=lambda data, when: _sliced(data, "routes", at, "asked", when, when + DAY),
    )


def _flight(row: _Row) -> str:
    return str(row["flight_id"])


def _arises(model: str, caller: Caller, row: _Row) -> bool:
    """Nobody asks at pushback whether a flight recovers that is not 15 to 60 minutes late."""
    if model != "delay-recovery" or caller.asks != "flight-departed":
        return True
    return bool(15 <= row["dep_delay"] <= 60)


def _ask(card: ModelCard, row: _Row, source: _Source, when: datetime | None = None) -> Ask:
    moment = when or row["asked"]
    hidden = {"dep_delay"} if row.get("dep") is None or row["dep"] > moment else set()
    return Ask(
        subject=source.subject(row),
        asked=row["asked"],
        keys={key: row[key] for key in card.keys if row[key] is not None},
        columns={
            column.name: row[column.name]
            for column in card.columns
            if column.source == "request" and column.name not in hidden
        },
    )


def _label(model: str, row: _Row, source: _Source) -> Label:
    return Label(
        model=model,
        subject=source.subject(row),
        asked=row["asked"],
        known=row["known"],
        actual=row[f"actual_{model}"],
        baseline=row[f"baseline_{model}"],
    )


def _o_clock(caller: Caller) -> timedelta:
    return caller.at if caller.at is not None else timedelta(hours=8)


def _not_left(data: Path, when: datetime, start: datetime, end: datetime) -> list[_Row]:
    return [row for row in _flight_rows(data, "sched_dep", start, end) if row["dep"] is None or row["dep"] > when]


def _flight_rows(
    data: Path, column: Literal["sched_dep", "dep", "known"], start: datetime, end: datetime
) -> list[_Row]:
    return _sliced(data, "flights", timedelta(0), column, start, end)


def _sliced(data: Path, kind: str, at: timedelta, column: str, start: datetime, end: datetime) -> list[_Row]:
    """Rows of a kind with start < `column` <= end, out of whole days that are kept."""
    found: list[_Row] = []
    for day in _days(start, end):
        rows, moments = _whole_day(data, kind, at, column, day)
        found += rows[bisect_right(moments, start) : bisect_right(moments, end)]
    return found


def _days(start: datetime, end: datetime) -> Iterator[date]:
    day = start.astimezone(UTC).date()
    while day <= end.astimezone(UTC).date():
        yield day
        day += DAY


@lru_cache(maxsize=48)
def _whole_day(data: Path, kind: str, at: timedelta, column: str, day: date) -> tuple[list[_Row], list[datetime]]:
    # [00:00, 24:00): the queries' lower bounds are open, so a day starts a microsecond early.
    since = datetime(day.year, day.month, day.day) - timedelta(microseconds=1)
    until = since + DAY
    match kind:
        case "flights":
            query = events.flights(column, since, until)
        case "slots":
            early = timedelta(minutes=135) if column == "known" else timedelta(0)
            query = events.slots(_half_hour(since - early), _half_hour(until - early))
        case "aircraft":
            early = WEEK if column == "known" else timedelta(0)
            query = events.aircraft(since - early, until - early, at)
        case _:
            early = WEEK if column == "known" else timedelta(0)
            query = events.routes(since - early, until - early, at)
    rows = [row for row in _rows(data, query) if since < _naive(row[column]) <= until]
    return rows, [row[column] for row in rows]


def _half_hour(moment: datetime) -> datetime:
    """The last full half hour that is not after a moment."""
    return moment.replace(minute=moment.minute // 30 * 30, second=0, microsecond=0)


def _rows(data: Path, query: str) -> list[_Row]:
    cursor = _connection(data).execute(query)
    names = [column[0] for column in cursor.description]
    return [
        {
            name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
            for name, value in zip(names, row, strict=True)
        }
        for row in cursor.fetchall()
    ]


@lru_cache(maxsize=2)
def _connection(data: Path) -> duckdb.DuckDBPyConnection:
    return events.connect(data)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


BUSINESS: Business = Airline()
