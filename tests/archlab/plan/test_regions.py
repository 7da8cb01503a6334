from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from archlab.errors import SpecError, UserError
from archlab.plan.difference import diff
from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.plan import Backend, Elsewhere, Plan, Role
from archlab.spec.regions import (
    Part,
    PostureChange,
    Promotion,
    Regions,
    RegionsOverride,
    RegionState,
    Standby,
    Tier,
    TierPosture,
)
from archlab.spec.scenario import Mode, Overrides, Scenario

EAST, WEST = "east", "west"


def pair(posture: Standby = Standby.WARM_STANDBY, models: dict[str, Tier] | None = None) -> Regions:
    """The model delay and every part critical, if nothing else is said; other tiers hold nothing beforehand."""
    nothing = TierPosture(posture=Standby.BACKUP_ONLY)
    return Regions(
        names=(EAST, WEST),
        tiers={Tier.CRITICAL: TierPosture(posture=posture), Tier.IMPORTANT: nothing, Tier.BEST_EFFORT: nothing},
        parts=dict.fromkeys(Part, Tier.CRITICAL),
        models=models or {"delay": Tier.CRITICAL},
        millicores={Part.REGISTRY: 500, Part.FEATURES: 100},
        database_millicores=250,
    )


def in_regions(scenario: Scenario, regions: Regions) -> Scenario:
    """The small lab, without devices."""
    return scenario.model_copy(update={"regions": regions, "devices": ()})


def planned(
    scenario: Scenario, regions: Regions, state: RegionState | None = None, change: RegionsOverride | None = None
) -> Plan:
    return layout("lab", in_regions(scenario, regions), 1, Overrides(regions=change), regions=state)


def replicas(plan: Plan) -> dict[str, int]:
    return {u.name: u.replicas for u in plan.units}


def test_a_warm_standby_is_one_replica_that_is_asked_when_the_first_region_does_not_answer(scenario: Scenario) -> None:
    plan = planned(scenario, pair())
    route = next(r for r in plan.routes if r.model == "delay")
    (backend,) = route.backends
    wanted = scenario.model("delay").replicas
    assert wanted > 1, "else scaling down shows nothing"
    assert (backend.unit, backend.replicas) == ("online-east", wanted)
    assert backend.elsewhere == (Elsewhere(unit="online-west", replicas=1, priority=1),)
    assert {u.name for u in plan.units if not u.region} == {"gateway", "control", "link-east", "link-west"}
    assert replicas(plan)["online-west"] == 1
    others = [b for r in plan.routes if r.model != "delay" for b in r.backends]
    assert others
    assert not [b for b in others if b.elsewhere], "what is best effort stands by nowhere"


def test_active_active_is_all_of_it_asked_all_the_time(scenario: Scenario) -> None:
    plan = planned(scenario, pair(Standby.ACTIVE_ACTIVE))
    (backend,) = next(r for r in plan.routes if r.model == "delay").backends
    assert backend.elsewhere == (Elsewhere(unit="online-west", replicas=backend.replicas, priority=0),)


@pytest.mark.parametrize(
    ("posture", "there"),
    [
        (Standby.BACKUP_ONLY, set()),
        (Standby.PILOT_LIGHT, {Role.STORE, Role.DATABASE}),
        (Standby.WARM_STANDBY, {Role.STORE, Role.DATABASE, Role.REGISTRY, Role.SERVER}),
        (Standby.ACTIVE_ACTIVE, {Role.STORE, Role.DATABASE, Role.REGISTRY, Role.SERVER}),
    ],
)
def test_a_posture_is_what_runs_in_the_second_region_and_what_it_costs(
    scenario: Scenario, posture: Standby, there: set[Role]
) -> None:
    plan = planned(scenario, pair(posture))
    assert {u.role for u in plan.units if u.region == WEST} == there
    held = {h.name: h.millicores for h in plan.regions.held} if plan.regions else {}
    assert ("database" in held) is (Role.DATABASE in there)
    assert ("registry" in held) is (Role.REGISTRY in there)
    assert bool([r for r in plan.reservations if r.unit.endswith(WEST)]) is (Role.SERVER in there)


@pytest.mark.parametrize("posture", Standby)
def test_when_a_region_is_lost_the_other_one_carries_everything(scenario: Scenario, posture: Standby) -> None:
    before = planned(scenario, pair(posture))
    after = planned(scenario, pair(posture), RegionState(primary=WEST, lost=(EAST,)))
    assert {u.region for u in after.units if u.role is not Role.LINK} == {"", WEST}
    names = {u.name.replace(EAST, WEST): u.replicas for u in before.units if u.region == EAST}
    assert names.items() <= replicas(after).items()
    assert {b.unit.rpartition("-")[2] for r in after.routes for b in r.backends} == {WEST}
    assert after.regions is not None
    assert not after.regions.held, "there is no second region to pay for"
    assert f"make {WEST} primary instead of {EAST}" in diff(before, after)


def test_what_takes_over_in_order_is_given_everything_before_it_does(scenario: Scenario) -> None:
    plan = planned(scenario, pair(Standby.PILOT_LIGHT), RegionState(primary=WEST, raised=EAST))
    assert {u.role for u in plan.units if u.region == EAST} == {Role.STORE, Role.DATABASE, Role.REGISTRY, Role.SERVER}
    assert all(b.elsewhere for r in plan.routes for b in r.backends)


tiers = st.sampled_from(Tier)
postures = st.builds(PostureChange, posture=st.none() | st.sampled_from(Standby))
changes = st.builds(
    RegionsOverride,
    tiers=st.dictionaries(tiers, postures),
    parts=st.dictionaries(st.sampled_from(Part), tiers),
    models=st.dictionaries(st.sampled_from(["delay", "segments", "congestion"]), tiers),
)
states = st.sampled_from(
    [
        None,
        RegionState(primary=WEST),
        RegionState(primary=WEST, lost=(EAST,)),
        RegionState(primary=EAST, lost=(WEST,)),
        RegionState(primary=WEST, raised=EAST),
    ]
)


@given(change=changes, state=states)
def test_every_plan_in_two_regions_can_be_carried_out(
    scenario: Scenario, change: RegionsOverride, state: RegionState | None
) -> None:
    plan = planned(scenario, pair(), state, change)
    for route in plan.routes:
        for backend in route.backends:
            assert plan.unit(backend.unit).replicas >= backend.replicas
            for other in backend.elsewhere:
                assert plan.unit(other.unit).replicas >= other.replicas
    for held in plan.reservations:
        assert held.replicas <= plan.unit(held.unit).replicas
    single = layout("lab", scenario.model_copy(update={"devices": ()}), 1, Overrides())
    primary = plan.regions.primary if plan.regions else ""
    there = {(r.model, r.unit.removesuffix(f"-{primary}"), r.replicas) for r in plan.reservations}
    assert {(r.model, r.unit, r.replicas) for r in single.reservations} <= there, "the primary's region holds it all"
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_a_learner_changes_tiers_and_postures_of_a_lab_that_has_regions_only(scenario: Scenario) -> None:
    change = RegionsOverride(
        tiers={Tier.CRITICAL: PostureChange(promotion=Promotion.AUTOMATIC)},
        parts={Part.LEDGER: Tier.IMPORTANT},
        models={"segments": Tier.CRITICAL},
    )
    changed = override(in_regions(scenario, pair()), Overrides(regions=change)).regions
    assert changed is not None
    assert changed.of(Part.REGISTRY).promotion is Promotion.AUTOMATIC
    assert changed.of(Part.REGISTRY).posture is Standby.WARM_STANDBY
    assert (changed.parts[Part.LEDGER], changed.tier("segments"), changed.tier("congestion")) == (
        Tier.IMPORTANT,
        Tier.CRITICAL,
        Tier.BEST_EFFORT,
    )
    with pytest.raises(UserError, match="one place"):
        override(scenario, Overrides(regions=change))
    with pytest.raises(UserError, match="no model 'nobody'"):
        override(in_regions(scenario, pair()), Overrides(regions=RegionsOverride(models={"nobody": Tier.CRITICAL})))


def test_another_pairs_state_is_refused(scenario: Scenario) -> None:
    with pytest.raises(SpecError, match="north"):
        planned(scenario, pair(), RegionState(primary="north"))


def test_without_regions_nothing_changes(scenario: Scenario) -> None:
    plan = layout("lab", scenario, 1, Overrides(), regions=RegionState(primary=WEST))
    assert plan.regions is None
    assert not [u for u in plan.units if u.region]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("names", (EAST, EAST), "both regions"),
        ("tiers", {Tier.CRITICAL: TierPosture()}, "tier best-effort is missing"),
        ("parts", {Part.REGISTRY: Tier.CRITICAL}, "part artifacts is missing"),
    ],
)
def test_a_pair_is_complete(field: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Regions.model_validate({**pair().model_dump(), field: value})


def test_the_strictest_tier_decides_how_servers_are_checked(scenario: Scenario) -> None:
    quick = TierPosture(check_every_ms=100, failures_to_detect=2)
    regions = pair(models={"segments": Tier.BEST_EFFORT, "delay": Tier.CRITICAL})
    regions = regions.model_copy(update={"tiers": {**regions.tiers, Tier.BEST_EFFORT: quick}})
    plan = planned(scenario, regions)
    assert plan.regions is not None
    assert (plan.regions.servers.check_every_ms, plan.regions.servers.failures_to_detect) == (100, 2)
    assert plan.regions.registry.check_every_ms == TierPosture().check_every_ms


def test_batch_answers_are_looked_up_in_both_regions(scenario: Scenario) -> None:
    batch = next(m.name for m in scenario.models if m.mode is Mode.BATCH)
    plan = planned(scenario, pair(models={batch: Tier.CRITICAL}))
    (backend,) = next(r for r in plan.routes if r.model == batch).backends
    assert isinstance(backend, Backend)
    assert [plan.unit(e.unit).serves for e in backend.elsewhere] == ["table"]
