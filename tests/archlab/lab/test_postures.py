"""`archlab dr plan`: every tier in every posture, priced."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from archlab.lab.postures import weigh
from archlab.plan.loading import load_scenario
from archlab.settings import scenarios_root
from archlab.spec.regions import Part, PostureChange, RegionsOverride, Standby, Tier
from archlab.spec.scenario import Overrides, Scenario

NOW = datetime(2013, 12, 2, 8, tzinfo=UTC)
CORE_MONTH = 30 * 86_400 * 13_900
"""Nano-dollars of a core for 30 days, at the scenario's price."""


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(scenarios_root() / "disaster_recovery" / "scenario.yaml")


def test_what_a_tier_costs_is_what_it_holds_in_the_second_region(scenario: Scenario) -> None:
    found = {(o.tier, o.posture): o for o in weigh(scenario, Overrides(), NOW)}
    assert len(found) == len(Tier) * len(Standby)
    critical = {posture: found[Tier.CRITICAL, posture] for posture in Standby}
    assert critical[Standby.BACKUP_ONLY].cost_nanousd == 0
    assert critical[Standby.PILOT_LIGHT].cost_nanousd == 250 * CORE_MONTH // 1000, "the registry's database"
    warm = 250 + 500 + 100 + 500  # database, registry, artifacts, and departure-delay's replica
    assert critical[Standby.WARM_STANDBY].cost_nanousd == warm * CORE_MONTH // 1000
    assert found[Tier.IMPORTANT, Standby.PILOT_LIGHT].cost_nanousd == 0, "no database of its own is in it"
    assert critical[Standby.WARM_STANDBY].contains == ("departure-delay", "registry", "artifacts")


def test_one_posture_of_a_tier_is_chosen_and_changes_with_the_learner(scenario: Scenario) -> None:
    def chosen(overrides: Overrides) -> dict[Tier, Standby]:
        return {o.tier: o.posture for o in weigh(scenario, overrides, NOW) if o.chosen}

    assert chosen(Overrides()) == {
        Tier.CRITICAL: Standby.WARM_STANDBY,
        Tier.IMPORTANT: Standby.PILOT_LIGHT,
        Tier.BEST_EFFORT: Standby.BACKUP_ONLY,
    }
    changed = RegionsOverride(tiers={Tier.CRITICAL: PostureChange(posture=Standby.PILOT_LIGHT)})
    assert chosen(Overrides(regions=changed))[Tier.CRITICAL] is Standby.PILOT_LIGHT


def test_who_moves_the_registry_moves_its_database_and_its_price(scenario: Scenario) -> None:
    moved = Overrides(regions=RegionsOverride(parts={Part.REGISTRY: Tier.BEST_EFFORT}))
    found = {(o.tier, o.posture): o for o in weigh(scenario, moved, NOW)}
    assert found[Tier.CRITICAL, Standby.PILOT_LIGHT].cost_nanousd == 0
    assert found[Tier.BEST_EFFORT, Standby.PILOT_LIGHT].cost_nanousd == 250 * CORE_MONTH // 1000
    assert found[Tier.BEST_EFFORT, Standby.BACKUP_ONLY].expected.rpo_s == 60
