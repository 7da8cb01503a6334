"""What a tick took: without a reservation, out of a commitment, in files."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from archlab.ledger.lines import lines
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.plan.resolve import override
from archlab.settings import scenarios_root
from archlab.spec.money import Commitment, LineKind, Price, Purchase, Resource, UsageKind
from archlab.spec.release import Release, ReleaseKind
from archlab.spec.scenario import Mode, ModelOverride, Overrides, Scenario
from archlab.world.metering import Interval, Meter, usage

START = datetime(2013, 12, 2, 8, tzinfo=UTC)
TICK = timedelta(minutes=30)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(scenarios_root() / "ten_models" / "scenario.yaml")


def released(model: str, size_bytes: int) -> Release:
    return Release(
        id=f"{model}:1",
        model=model,
        version="1",
        team="operations",
        kind=ReleaseKind.ONNX,
        pool="online",
        sha256="ab" * 32,
        path="a-file",
        size_bytes=size_bytes,
        decision_id="1",
        decision_sha256="ab" * 32,
        source_sha256="ab" * 32,
        columns=(),
        keys=(),
        created=START,
        signature="",
    )


def test_what_was_computed_without_a_reservation_is_nobodys_and_says_so(scenario: Scenario) -> None:
    wish = Overrides(models={"delay-recovery": ModelOverride(mode=Mode.BATCH)})
    mixed, plan = override(scenario, wish), layout("lab", scenario, 1, wish)
    meters = {
        Meter("delay-recovery", "online", "0"): 0.5,
        Meter("delay-recovery", "lookup", "0"): 0.5,
        Meter("adhoc", "online", "1"): 0.25,
        Meter("flight-time", "online", "0"): 0.1,
    }
    found = usage(Interval(START, START + TICK), mixed, plan, meters, [], Counter())
    unclaimed = {u.model: u for u in found if u.reason}
    assert set(unclaimed) == {"delay-recovery", "adhoc"}
    assert unclaimed["adhoc"].reason == "online-1 computed for adhoc, which nothing is reserved for"
    assert (unclaimed["adhoc"].team, unclaimed["adhoc"].quantity) == ("", 250)
    moved = unclaimed["delay-recovery"]
    assert (moved.unit, moved.quantity) == ("online-0", 500 * scenario.model("delay-recovery").caller.represents)
    bill = lines(found, scenario.prices)
    assert {line.model for line in bill if line.kind is LineKind.UNALLOCATED} == set(unclaimed)


def bought(scenario: Scenario, *prices: Price, commitments: tuple[Commitment, ...] = (), **pool: Any) -> Scenario:
    """The scenario with more prices, and its online pool bought in another way."""
    tree = scenario.model_dump()
    tree["prices"]["prices"] += tuple(price.model_dump() for price in prices)
    tree["prices"]["commitments"] = tuple(made.model_dump() for made in commitments)
    next(one for one in tree["pools"] if one["name"] == "online").update(pool)
    return Scenario.model_validate(tree)


def priced(resource: Resource, purchase: Purchase = Purchase.ON_DEMAND) -> Price:
    return Price(resource=resource, effective=START - TICK, nanousd=1, purchase=purchase)


def test_a_pool_draws_on_its_commitment_as_far_as_that_reaches(scenario: Scenario) -> None:
    cores = Commitment(
        name="cores", resource=Resource.ONLINE_CPU, per_second=500, starts=START + TICK / 2, ends=START + 9 * TICK
    )
    reserved = priced(Resource.ONLINE_CPU, Purchase.RESERVED)
    buying = bought(scenario, reserved, commitments=(cores,), purchase=Purchase.RESERVED, commitment="cores")
    plan = layout("lab", buying, 1, Overrides())
    found = usage(Interval(START, START + TICK), buying, plan, {}, [], Counter())
    (made,) = [u for u in found if u.kind is UsageKind.COMMITTED]
    assert made.quantity == 500 * 900, "it starts in the middle of the tick"
    held = {u.purchase for u in found if u.kind is UsageKind.RESERVED and u.unit.startswith("online-")}
    assert held == {Purchase.RESERVED}
    drawn = [line for line in lines(found, buying.prices) if line.purchase is Purchase.RESERVED]
    assert sum(line.quantity for line in drawn) == made.quantity
    before = Interval(START - TICK, START)
    assert not [u for u in usage(before, buying, plan, {}, [], Counter()) if u.kind is UsageKind.COMMITTED]


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        ({"purchase": Purchase.SPOT}, "is bought as spot, and has no price for it"),
        ({"purchase": Purchase.RESERVED}, "names a commitment, but not both"),
        ({"purchase": Purchase.RESERVED, "commitment": "cores"}, "'cores', which is not declared"),
    ],
)
def test_what_a_pool_is_bought_as_is_in_the_price_book(scenario: Scenario, pool: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        bought(scenario, **pool)


def test_files_are_paid_for_where_storage_has_a_price(scenario: Scenario) -> None:
    plan, interval = layout("lab", scenario, 1, Overrides()), Interval(START, START + TICK)
    kept = [released(scenario.models[0].name, size_bytes=1_025)]
    assert not [u for u in usage(interval, scenario, plan, {}, [], Counter(), kept) if u.resource is Resource.STORAGE]
    dear = bought(scenario, priced(Resource.STORAGE))
    (file,) = [u for u in usage(interval, dear, plan, {}, [], Counter(), kept) if u.resource is Resource.STORAGE]
    assert (file.quantity, file.mode, file.model) == (2 * 1800, "storage", scenario.models[0].name)
