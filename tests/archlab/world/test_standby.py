"""What a second region costs: more the more runs there beforehand, and nothing once there is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.plan.resolve import override
from archlab.settings import scenarios_root
from archlab.spec.base import NANO_PER_USD
from archlab.spec.money import Resource
from archlab.spec.regions import PostureChange, RegionsOverride, RegionState, Standby, Tier
from archlab.spec.scenario import Overrides, Scenario
from archlab.world.commitment import held
from archlab.world.metering import Interval, reserved

START = datetime(2013, 12, 2, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(scenarios_root() / "disaster_recovery" / "scenario.yaml")


def in_posture(posture: Standby) -> Overrides:
    return Overrides(regions=RegionsOverride(tiers=dict.fromkeys(Tier, PostureChange(posture=posture))))


def month(scenario: Scenario, wanted: Overrides, state: RegionState | None = None) -> int:
    plan = layout("lab", scenario, 1, wanted, regions=state)
    return sum(held(override(scenario, wanted), plan, START).values())


def test_each_posture_costs_more_than_the_one_before(scenario: Scenario) -> None:
    costs = [month(scenario, in_posture(posture)) for posture in Standby]
    assert costs == sorted(costs)
    backup, pilot, warm, active = costs
    assert pilot - backup == 250 * 30 * 86_400 * 13_900 // 1000, "a database's cores for 30 days"
    assert warm > pilot
    assert active == warm, "one replica each: scaled down is all there is"


def test_with_one_region_left_there_is_no_second_one_to_pay(scenario: Scenario) -> None:
    warm = in_posture(Standby.WARM_STANDBY)
    lost = RegionState(primary="west", lost=("east",))
    assert month(scenario, warm, lost) == month(scenario, in_posture(Standby.BACKUP_ONLY))


def test_what_stands_by_and_what_is_kept_are_lines_of_their_own(scenario: Scenario) -> None:
    plan = layout("lab", scenario, 1, Overrides())
    found = {u.unit: u for u in reserved(Interval(START, START + timedelta(hours=1)), scenario, plan)}
    assert found["database-west"].resource is Resource.PLATFORM_CPU
    assert found["database-west"].quantity == 250 * 3600
    assert found["online-west-0"].model == "departure-delay", "only what is critical is reserved there"
    kept = found["backups"]
    assert kept.resource is Resource.STORAGE
    # five parts of 20 GiB, seven backups each: 140 GiB on the average of the parts
    assert kept.quantity == 7 * 20 * 1024 * 1024 * 3600
    price = scenario.prices.at(Resource.STORAGE, START)
    assert 2 < kept.quantity * 720 * price.nanousd / price.per / NANO_PER_USD < 5, "some 0.023 USD per GiB and 30 days"
