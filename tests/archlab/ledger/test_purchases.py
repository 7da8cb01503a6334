"""Spot, commitments, prices that change in the middle: what a line costs by how its capacity was bought."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from archlab.ledger.allocation import Owners
from archlab.ledger.lines import lines
from archlab.ledger.sharing import Section, sections, split
from archlab.spec.money import (
    Basis,
    Commitment,
    Line,
    Price,
    PriceBook,
    Purchase,
    Resource,
    Usage,
    UsageKind,
)

START = datetime(2013, 12, 2, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
ON_DEMAND, SPOT, RESERVED = Purchase.ON_DEMAND, Purchase.SPOT, Purchase.RESERVED


def price(nanousd: int, purchase: Purchase = ON_DEMAND, *, after: timedelta = timedelta()) -> Price:
    return Price(resource=Resource.ONLINE_CPU, effective=START + after, nanousd=nanousd, purchase=purchase)


BOOK = PriceBook(source="test", prices=(price(10), price(3, SPOT), price(6, RESERVED)))


def usage(name: str, kind: UsageKind, quantity: int, **changes: object) -> Usage:
    fields = {
        "id": name,
        "start": START,
        "end": START + HALF_HOUR,
        "team": "operations",
        "model": "flight-time",
        "mode": "online",
        "unit": "online-0",
        "resource": Resource.ONLINE_CPU,
        "kind": kind,
        "quantity": quantity,
        "basis": Basis.MODELLED,
    }
    return Usage.model_validate({**fields, **changes})


def committed(quantity: int, team: str = "platform") -> Usage:
    about = {"team": team, "model": "", "mode": "commitment", "unit": "cores"}
    return usage("committed", UsageKind.COMMITTED, quantity, purchase=RESERVED, commitment="cores", **about)


def drawing(name: str, quantity: int, **changes: object) -> Usage:
    return usage(name, UsageKind.RESERVED, quantity, purchase=RESERVED, commitment="cores", **changes)


def shown(bill: list[Line]) -> list[tuple[str, Purchase, int, int]]:
    return [(line.kind, line.purchase, line.quantity, line.cost_nanousd) for line in bill]


def test_spot_has_a_price_of_its_own() -> None:
    assert shown(lines([usage("b", UsageKind.CONSUMED, 5, purchase=SPOT)], BOOK)) == [("used", SPOT, 5, 15)]


def test_a_commitment_covers_use_first_and_the_rest_is_on_demand() -> None:
    bill = lines([committed(70), drawing("r", 100), usage("u", UsageKind.USED, 30)], BOOK)
    assert shown(bill) == [
        ("used", RESERVED, 30, 180),
        ("idle", RESERVED, 40, 240),
        ("idle", ON_DEMAND, 30, 300),
    ]
    assert [line.commitment for line in bill] == ["cores", "cores", ""]


def test_what_nobody_draws_is_a_line_of_its_own() -> None:
    *_, unused = lines([committed(70), drawing("r", 50)], BOOK)
    assert (unused.mode, unused.kind, unused.quantity, unused.cost_nanousd) == ("commitment", "shared", 20, 120)
    *_, own = lines([committed(70, "revenue"), drawing("r", 50)], BOOK)
    assert (own.kind, own.team) == ("idle", "revenue")
    (revenue,) = [team for team in split([own]).teams if team.team == "revenue"]
    assert (revenue.used, revenue.idle) == (0, 120)


def test_two_draw_on_one_commitment_in_order_and_never_more_than_it_has() -> None:
    bill = lines([drawing("b", 60, model="b"), committed(70), drawing("a", 50, model="a")], BOOK)
    covered = {line.model: line.quantity for line in bill if line.purchase is RESERVED}
    assert covered == {"a": 50, "b": 20}


def test_a_commitment_of_another_time_or_name_covers_nothing() -> None:
    later = committed(70).model_copy(update={"start": START + HALF_HOUR, "end": START + 2 * HALF_HOUR})
    other = drawing("r", 50).model_copy(update={"commitment": "other"})
    assert [line.purchase for line in lines([later, drawing("r", 50)], BOOK)] == [ON_DEMAND, RESERVED]
    assert [line.mode for line in lines([committed(70), other], BOOK)] == ["online", "commitment"]


def test_a_line_is_split_where_its_price_changes() -> None:
    dearer = PriceBook(source="test", prices=(price(10), price(25, after=timedelta(minutes=10))))
    first, second = lines([usage("r", UsageKind.RESERVED, 301)], dearer)
    change = START + timedelta(minutes=10)
    assert (first.start, first.end, first.quantity, first.cost_nanousd) == (START, change, 100, 1000)
    assert (second.start, second.end, second.quantity, second.cost_nanousd) == (change, START + HALF_HOUR, 201, 5025)
    assert first.id != second.id


def test_training_and_storage_are_free_unless_they_have_a_price() -> None:
    record = usage("t", UsageKind.CONSUMED, 10**9, mode="training", resource=Resource.TRAINING_CPU)
    assert [line.cost_nanousd for line in lines([record], BOOK)] == [0]
    priced = PriceBook(source="test", prices=(Price(resource=Resource.TRAINING_CPU, effective=START, nanousd=2),))
    assert [line.cost_nanousd for line in lines([record], priced)] == [2 * 10**9]


@pytest.mark.parametrize(
    ("team", "model", "reason"),
    [
        ("", "flight-time", "it names no team"),
        ("ghosts", "flight-time", "there is no team ghosts"),
        ("operations", "adhoc", "there is no model adhoc"),
        ("operations", "flight-time", ""),
        ("platform", "", ""),
    ],
)
def test_what_nobody_pays_says_why_and_is_split_among_nobody(team: str, model: str, reason: str) -> None:
    owners = Owners({"operations", "platform"}, {"flight-time"})
    record = owners.allocated(usage("c", UsageKind.CONSUMED, 5, team=team, model=model))
    bill = lines([record, usage("d", UsageKind.CONSUMED, 1)], BOOK)
    assert [line.reason for line in bill if line.quantity == 5] == [reason]
    assert sections(bill)[Section.UNALLOCATED] == split(bill).unallocated == (50 if reason else 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"purchase": RESERVED},
        {"commitment": "cores"},
        {"kind": UsageKind.CONSUMED, "purchase": RESERVED, "commitment": "cores"},
        {"kind": UsageKind.COMMITTED},
    ],
)
def test_only_reservations_draw_on_a_commitment_that_they_name(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="commitment"):
        Usage.model_validate({**usage("r", UsageKind.RESERVED, 1).model_dump(), **changes})


def test_a_commitment_needs_a_price_and_a_name_of_its_own() -> None:
    made = Commitment(
        name="cores", resource=Resource.ONLINE_CPU, per_second=1, starts=START, ends=START + timedelta(days=1)
    )
    with pytest.raises(ValidationError, match="commitment cores has no price"):
        PriceBook(source="test", prices=(price(10),), commitments=(made,))
    with pytest.raises(ValidationError, match="share a name"):
        PriceBook(source="test", prices=BOOK.prices, commitments=(made, made))
