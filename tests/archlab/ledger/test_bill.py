"""The two paths to a bill agree to the last nano-dollar, whatever happened."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archlab.ledger.grouping import daily, group
from archlab.ledger.lines import cost, lines, overflow
from archlab.ledger.recompute import COLUMNS, export, recompute
from archlab.spec.money import Basis, Line, LineKind, Price, PriceBook, Resource, Usage, UsageKind

START = datetime(2013, 11, 4, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def usage(
    id_: str,
    kind: UsageKind,
    quantity: int,
    *,
    model: str = "flight-time",
    resource: Resource = Resource.ONLINE_CPU,
    start: datetime = START,
    unit: str = "pool-0",
) -> Usage:
    return Usage(
        id=id_,
        start=start,
        end=start + timedelta(minutes=30),
        team="ops",
        model=model,
        mode="online",
        unit=unit,
        resource=resource,
        kind=kind,
        quantity=quantity,
        basis=Basis.MODELLED,
    )


def book(*prices: Price) -> PriceBook:
    return PriceBook(source="test", prices=prices)


def every_price(nanousd: int = 7, per: int = 2) -> PriceBook:
    return book(*(Price(resource=r, effective=EPOCH, nanousd=nanousd, per=per) for r in Resource))


def second_path(usages: list[Usage], prices: PriceBook) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "usage.parquet"
        export((record(u) for u in usages), path)
        return recompute(path, prices).total


def record(item: Usage) -> tuple[object, ...]:
    moments = {
        "start_us": (item.start - EPOCH) // timedelta(microseconds=1),
        "end_us": (item.end - EPOCH) // timedelta(microseconds=1),
    }
    fields = {**item.model_dump(mode="json"), **moments}
    return tuple(fields[name] for name in COLUMNS)


histories = st.lists(
    st.builds(
        usage,
        st.uuids().map(str),
        st.sampled_from([UsageKind.RESERVED, UsageKind.USED, UsageKind.CONSUMED]),
        st.one_of(st.integers(0, 20), st.integers(0, 10**13)),
        model=st.sampled_from(["", "flight-time", "departure-delay"]),
        resource=st.sampled_from(Resource),
        start=st.integers(0, 3).map(lambda n: START + n * timedelta(hours=12)),
        unit=st.sampled_from(["pool-0", "pool-1"]),
    ),
    max_size=40,
)
books = st.builds(
    lambda old, new: book(
        *(Price(resource=r, effective=EPOCH, nanousd=n, per=p) for r, (n, p) in zip(Resource, old, strict=True)),
        *(
            Price(resource=r, effective=START + timedelta(days=1), nanousd=n, per=p)
            for r, (n, p) in zip(Resource, new, strict=True)
        ),
    ),
    *(
        st.lists(
            st.tuples(st.integers(0, 10**6), st.integers(1, 3_600_000)), min_size=len(Resource), max_size=len(Resource)
        )
        for _ in "on"
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, books)
def test_sql_over_the_raw_records_gives_the_same_total(history: list[Usage], prices: PriceBook) -> None:
    assert second_path(history, prices) == sum(line.cost_nanousd for line in lines(history, prices))


@given(st.integers(0, 10**15), st.integers(0, 10**9), st.integers(1, 10**9))
def test_cost_is_the_half_even_rounding_of_the_exact_product(quantity: int, nanousd: int, per: int) -> None:
    price = Price(resource=Resource.LOOKUP, effective=EPOCH, nanousd=nanousd, per=per)
    assert cost(quantity, price) == round(Fraction(quantity * nanousd, per))


@given(histories)
def test_used_and_idle_are_what_was_reserved_and_the_rest_is_overflow(history: list[Usage]) -> None:
    bill = lines(history, every_price())
    reserved = sum(u.quantity for u in history if u.kind is UsageKind.RESERVED)
    used = sum(u.quantity for u in history if u.kind is UsageKind.USED)
    consumed = {u.id for u in history if u.kind is UsageKind.CONSUMED}
    held = [line for line in bill if line.usage_id not in consumed]
    assert sum(line.quantity for line in held) == reserved
    billed = sum(line.quantity for line in held if line.kind is not LineKind.IDLE)
    assert billed + sum(o.quantity for o in overflow(history)) == used


@given(histories, st.lists(st.sampled_from(["team", "model", "mode", "kind", "day", "resource"]), max_size=4))
def test_no_grouping_loses_money(history: list[Usage], by: list[str]) -> None:
    bill = lines(history, every_price())
    total = sum(line.cost_nanousd for line in bill)
    assert sum(row["cost_nanousd"] for row in group(bill, by)) == total
    assert sum(line.cost_nanousd for line in daily(bill)) == total


def kinds(bill: list[Line]) -> dict[LineKind, int]:
    return {line.kind: line.quantity for line in bill}


def test_what_is_reserved_and_not_used_is_idle() -> None:
    bill = lines([usage("r", UsageKind.RESERVED, 100), usage("u", UsageKind.USED, 30)], every_price())
    assert kinds(bill) == {LineKind.USED: 30, LineKind.IDLE: 70}


def test_use_never_costs_more_than_its_reservation_and_stays_visible() -> None:
    history = [usage("r", UsageKind.RESERVED, 100), usage("u", UsageKind.USED, 130)]
    assert kinds(lines(history, every_price())) == {LineKind.USED: 100}
    assert [o.quantity for o in overflow(history)] == [30]


def test_a_record_that_comes_twice_counts_once() -> None:
    twice = [usage("c", UsageKind.CONSUMED, 5)] * 2
    assert kinds(lines(twice, every_price())) == {LineKind.USED: 5}
    assert second_path(twice, every_price(nanousd=10, per=1)) == 50


def test_what_no_model_took_is_shared() -> None:
    assert kinds(lines([usage("p", UsageKind.CONSUMED, 9, model="")], every_price())) == {LineKind.SHARED: 9}


def test_the_price_in_effect_at_the_start_counts() -> None:
    prices = book(
        Price(resource=Resource.LOOKUP, effective=EPOCH, nanousd=1),
        Price(resource=Resource.LOOKUP, effective=START, nanousd=10),
    )
    before = usage("a", UsageKind.CONSUMED, 1, resource=Resource.LOOKUP, start=START - timedelta(minutes=30))
    after = usage("b", UsageKind.CONSUMED, 1, resource=Resource.LOOKUP)
    assert [line.cost_nanousd for line in lines([before, after], prices)] == [1, 10]
    assert second_path([before, after], prices) == 11


def test_a_resource_without_a_price_is_an_error_on_both_paths() -> None:
    history = [usage("c", UsageKind.CONSUMED, 1)]
    with pytest.raises(LookupError):
        lines(history, book())
    with pytest.raises(LookupError):
        second_path(history, book())
