from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archlab.errors import UserError
from archlab.spec.airline import Label
from archlab.spec.business import Ask
from archlab.spec.callers import Caller, EstimateValue
from archlab_scenarios.airline import events
from archlab_scenarios.airline.business import BUSINESS

DAY_START = datetime(2013, 11, 5, 5, tzinfo=UTC)
TICK = timedelta(minutes=30)
DAY = timedelta(days=1)
KINDS = {
    "arrival-delay": "flight-departed",
    "delay-recovery": "flight-departed",
    "airport-congestion": "origin-half-hourly",
    "route-segments": "route-daily",
    "aircraft-reliability": "tail-daily",
}
MODELS = sorted(BUSINESS.cards)


def caller(model: str, **changes: object) -> Caller:
    declared = {
        "name": "somebody",
        "asks": KINDS.get(model, "flight-scheduled"),
        "at": timedelta(hours=10),
        "deadline_ms": 100,
        "max_age": timedelta(hours=1),
        "represents": 1,
        "value": EstimateValue(tolerance=1, right=1),
    }
    return Caller.model_validate(declared | changes)


def asks(data: Path, model: str, start: datetime, end: datetime) -> Sequence[Ask]:
    return BUSINESS.asks(data, model, caller(model), start, end)


def labels(data: Path, model: str, start: datetime, end: datetime) -> Sequence[Label]:
    return BUSINESS.labels(data, model, caller(model), start, end)


@pytest.mark.parametrize("model", MODELS)
def test_ticks_add_up_to_the_day(model: str, data: Path) -> None:
    spans = [(DAY_START + index * TICK, DAY_START + (index + 1) * TICK) for index in range(48)]
    by_tick = [asks(data, model, *span) for span in spans]
    whole = list(asks(data, model, DAY_START, DAY_START + DAY))
    assert [ask for part in by_tick for ask in part] == whole
    assert len(whole) > 30
    assert all(start < ask.asked <= end for part, (start, end) in zip(by_tick, spans, strict=True) for ask in part)
    assert [ask.asked for ask in whole] == sorted(ask.asked for ask in whole)
    known = [labels(data, model, *span) for span in spans]
    assert [label for part in known for label in part] == list(labels(data, model, DAY_START, DAY_START + DAY))
    assert all(start < label.known <= end for part, (start, end) in zip(known, spans, strict=True) for label in part)


@pytest.mark.parametrize("model", MODELS)
def test_labels_are_of_what_was_asked(model: str, data: Path) -> None:
    asked = {(ask.subject, ask.asked) for ask in asks(data, model, DAY_START, DAY_START + DAY)}
    assert len(asked) == len(asks(data, model, DAY_START, DAY_START + DAY))
    later = labels(data, model, DAY_START, DAY_START + 9 * DAY)
    met = [label for label in later if DAY_START < label.asked <= DAY_START + DAY]
    assert {(label.subject, label.asked) for label in met} <= asked
    assert len(met) >= 0.9 * len(asked)
    assert all(label.known > label.asked for label in met)
    without = sum(label.baseline is None for label in met)
    assert without <= 0.01 * len(met)  # a route's first flight has no month before it


@pytest.mark.parametrize("model", MODELS)
def test_requests_bring_the_cards_keys_and_columns(model: str, data: Path) -> None:
    card = BUSINESS.cards[model]
    wanted = {column.name for column in card.columns if column.source == "request"}
    for ask in asks(data, model, DAY_START, DAY_START + DAY):
        assert set(ask.columns) == wanted
        assert set(card.keys) - set(ask.keys) <= {"tailnum"}
        assert set(card.table_keys) <= set(ask.keys)


def test_nobody_knows_the_departure_delay_before_departure(data: Path) -> None:
    early = BUSINESS.asks(
        data, "arrival-delay", caller("arrival-delay", asks="flight-scheduled"), DAY_START, DAY_START + DAY
    )
    assert early
    assert all("dep_delay" not in ask.columns for ask in early)
    ahead = BUSINESS.batch_asks(data, "arrival-delay", caller("arrival-delay"), DAY_START)
    assert ahead
    assert all("dep_delay" not in ask.columns for ask in ahead)
    assert all("dep_delay" in ask.columns for ask in asks(data, "arrival-delay", DAY_START, DAY_START + DAY))


@pytest.mark.parametrize("model", MODELS)
def test_a_nightly_run_covers_what_the_day_asks(model: str, data: Path) -> None:
    card = BUSINESS.cards[model]
    when = datetime(2013, 11, 5, 8, tzinfo=UTC)
    ahead = BUSINESS.batch_asks(data, model, caller(model), when)
    rows = {"|".join(ask.keys[key] for key in card.table_keys) for ask in ahead}
    assert len(rows) == len(ahead)
    asked = ["|".join(ask.keys[key] for key in card.table_keys) for ask in asks(data, model, when, when + DAY)]
    assert sum(key in rows for key in asked) / len(asked) > 0.98


def test_only_flights_that_left_somewhat_late_can_recover(data: Path) -> None:
    for ask in asks(data, "delay-recovery", DAY_START, DAY_START + DAY):
        assert 15 <= ask.columns["dep_delay"] <= 60


def test_a_longer_lead_asks_earlier(data: Path) -> None:
    early = BUSINESS.asks(
        data, "flight-time", caller("flight-time", lead=timedelta(hours=3)), DAY_START, DAY_START + 3 * DAY
    )
    by_flight = {ask.subject: ask.asked for ask in asks(data, "flight-time", DAY_START, DAY_START + 2 * DAY)}
    shifted = [by_flight[ask.subject] - ask.asked for ask in early if ask.subject in by_flight]
    assert shifted
    assert set(shifted) == {timedelta(hours=2)}


def test_requests_and_training_rows_say_the_same(data: Path) -> None:
    with events.connect(data) as connection:
        query = events.flights("sched_dep", datetime(2013, 11, 5), datetime(2013, 11, 7))
        rows = connection.execute(query).df().set_index("flight_id")
    for ask in asks(data, "departure-delay", DAY_START, DAY_START + DAY):
        assert ask.columns == rows.loc[ask.subject, list(ask.columns)].to_dict()


def test_a_caller_that_can_not_ask_this_model_is_told(data: Path) -> None:
    with pytest.raises(UserError, match="route-segments can't be asked"):
        BUSINESS.asks(data, "route-segments", caller("x"), DAY_START, DAY_START + DAY)
