from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from archlab.errors import SpecError, UserError
from archlab.plan.difference import diff
from archlab.plan.inventory import inventory
from archlab.plan.layout import layout
from archlab.plan.placement import Facts
from archlab.spec.autoscaling import Autoscaling, Signal
from archlab.spec.devices import DeviceBasis, Gain
from archlab.spec.plan import Backend, Plan, Role, Shadow
from archlab.spec.scenario import Mode, ModelOverride, Overrides, Pool, Scenario

changes = st.builds(
    ModelOverride,
    mode=st.none() | st.sampled_from(Mode),
    replicas=st.none() | st.integers(1, 8),
    canary_percent=st.none() | st.integers(0, 100),
    shadow_percent=st.none() | st.integers(0, 100),
    batch_every=st.none() | st.just(timedelta(hours=6)),
)
overrides = st.builds(
    Overrides, models=st.dictionaries(st.sampled_from(["delay", "segments", "congestion"]), changes, max_size=3)
)
challengers = st.dictionaries(st.sampled_from(["delay", "segments", "congestion"]), st.just("2"), max_size=3)


@given(wanted=overrides, versions=challengers)
def test_every_plan_can_be_carried_out(scenario: Scenario, wanted: Overrides, versions: dict[str, str]) -> None:
    plan = layout("lab", scenario, 1, wanted, versions)
    assert {r.model for r in plan.routes} == {m.name for m in scenario.models}
    for route in plan.routes:
        assert sum(b.weight for b in route.backends) == 100
        assert all(1 <= b.replicas <= plan.unit(b.unit).replicas for b in route.backends)
        assert len({b.version for b in route.backends}) == len(route.backends)
        if route.shadow:
            assert (route.shadow.unit, route.shadow.replicas) == (route.backends[0].unit, route.backends[0].replicas)
            assert route.shadow.version in route.versions
    for unit in plan.units:
        pool = next((p for p in scenario.pools if p.name == unit.name), None)
        held = [r.replicas for r in plan.reservations if r.unit == unit.name]
        assert unit.replicas == (max([pool.min_replicas, *held]) if pool else 1)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert layout("lab", scenario, 1, wanted, versions) == plan


@given(wanted=overrides)
def test_capacity_is_held_by_online_models_and_only_they(scenario: Scenario, wanted: Overrides) -> None:
    plan = layout("lab", scenario, 1, wanted)
    tables = {u.name for u in plan.units if u.serves == "table"}
    held = {r.model for r in plan.reservations}
    for route in plan.routes:
        in_table = {b.unit for b in route.backends} <= tables
        assert in_table != (route.model in held)


@given(old=overrides, new=overrides)
def test_the_difference_is_empty_exactly_when_nothing_changes(
    scenario: Scenario, old: Overrides, new: Overrides
) -> None:
    before, after = layout("lab", scenario, 1, old), layout("lab", scenario, 1, new)
    same = (before.units, before.routes) == (after.units, after.routes)
    assert (diff(before, after) == ()) == same


def test_a_small_lab(scenario: Scenario) -> None:
    plan = layout("lab", scenario, 1, Overrides())
    assert [(u.name, u.role, u.replicas, u.runtime) for u in plan.units] == [
        ("gateway", Role.GATEWAY, 1, ""),
        ("registry", Role.REGISTRY, 1, ""),
        ("control", Role.CONTROL, 1, ""),
        ("online", Role.SERVER, 3, "uvicorn"),
        ("bento", Role.SERVER, 1, "bento"),
        ("lookup", Role.SERVER, 2, "uvicorn"),
    ]
    backends = {r.model: r.backends for r in plan.routes}
    assert backends == {
        "delay": (Backend(unit="online", replicas=3, weight=100),),
        "segments": (Backend(unit="lookup", replicas=2, weight=100),),
        "congestion": (Backend(unit="bento", replicas=1, weight=100),),
    }
    assert plan.limits == {"ops": 2000, "revenue": 50}


def test_a_canary_needs_a_share_and_a_challenger(scenario: Scenario) -> None:
    wanted = Overrides(models={"delay": ModelOverride(canary_percent=10)})
    waiting = layout("lab", scenario, 1, wanted).routes[0]
    assert waiting.backends == (Backend(unit="online", replicas=3, weight=100),)
    running = layout("lab", scenario, 1, wanted, {"delay": "4"}).routes[0]
    assert running.backends == (
        Backend(unit="online", replicas=3, weight=90),
        Backend(unit="online", replicas=3, weight=10, version="4"),
    )
    assert layout("lab", scenario, 1, Overrides(), {"delay": "4"}).routes[0] == waiting


def test_a_shadow_needs_a_share_a_challenger_and_a_model_that_computes(scenario: Scenario) -> None:
    wanted = Overrides(models={"delay": ModelOverride(shadow_percent=40), "segments": ModelOverride(shadow_percent=40)})
    assert [r.shadow for r in layout("lab", scenario, 1, wanted).routes] == [None, None, None]
    mirrored, in_batch, _ = layout("lab", scenario, 1, wanted, {"delay": "4", "segments": "2"}).routes
    assert mirrored.shadow == Shadow(unit="online", replicas=3, percent=40, version="4")
    assert mirrored.backends == (Backend(unit="online", replicas=3, weight=100),)
    assert in_batch.shadow is None
    assert layout("lab", scenario, 1, Overrides(), {"delay": "4"}).routes[0].shadow is None


def test_mirroring_in_words(scenario: Scenario) -> None:
    def plan(percent: int, version: str) -> Plan:
        wanted = Overrides(models={"delay": ModelOverride(shadow_percent=percent)})
        return layout("lab", scenario, 1, wanted, {"delay": version})

    assert diff(plan(0, "2"), plan(100, "2")) == ("mirror every request of delay to version 2",)
    assert diff(plan(100, "2"), plan(5, "3")) == ("mirror 5 % of the requests of delay to version 3",)
    assert diff(plan(5, "3"), plan(0, "3")) == ("stop mirroring delay",)
    assert diff(plan(5, "3"), plan(5, "3")) == ()


def test_what_can_not_be_laid_out_is_refused(scenario: Scenario) -> None:
    with pytest.raises(UserError, match="no model 'other'"):
        layout("lab", scenario, 1, Overrides(models={"other": ModelOverride()}))
    table = scenario.model_copy(
        update={"models": (scenario.models[0].model_copy(update={"pool": "lookup"}), *scenario.models[1:])}
    )
    with pytest.raises(SpecError, match="delay is online, but its pool lookup serves tables only"):
        layout("lab", table, 1, Overrides())
    named = scenario.model_copy(update={"pools": (*scenario.pools, Pool(name="control"))})
    with pytest.raises(SpecError, match="can't be called 'control'"):
        layout("lab", named, 1, Overrides())


def test_changes_in_words(scenario: Scenario) -> None:
    old = layout("lab", scenario, 1, Overrides())
    new = layout(
        "lab",
        scenario,
        1,
        Overrides(
            models={
                "delay": ModelOverride(replicas=4, canary_percent=5),
                "congestion": ModelOverride(mode=Mode.BATCH),
            }
        ),
        {"delay": "2"},
    )
    assert diff(old, new) == (
        "scale online from 3 to 4 replicas",
        "move delay from online × 3 to 95 % online × 4 + 5 % online × 4 (version 2)",
        "move congestion from bento × 1 to lookup × 2 (batch)",
    )
    assert diff(None, old)[:4] == ("start gateway", "start registry", "start control", "start online (3 replicas)")
    fewer = old.model_copy(update={"units": old.units[:-1], "routes": old.routes[:1], "limits": {"ops": 1}})
    assert set(diff(old, fewer)) == {
        "stop lookup (2 replicas)",
        "remove the route of segments",
        "remove the route of congestion",
        "limit team ops to 1 requests a second",
        "lift the limit of team revenue",
    }


def with_devices(scenario: Scenario) -> Scenario:
    tree = scenario.model_dump()
    price = {"effective": scenario.starts, "nanousd": 1}
    tree["prices"]["prices"] = [
        *tree["prices"]["prices"],
        {"resource": "device", **price},
        {"resource": "device_slice", **price},
    ]
    tree["devices"] = [
        {"name": f"l4-{n}", "device_class": "nvidia-l4", "product": "NVIDIA L4", "memory_mib": 1000} for n in range(3)
    ]
    return Scenario.model_validate(tree)


GAINS = {"delay": Gain(gains=True, basis="measured", because="it multiplies matrices")}


def test_devices_are_part_of_the_plan_where_a_scenario_has_any(scenario: Scenario) -> None:
    assert layout("lab", scenario, 1, Overrides()).devices is None
    equipped = with_devices(scenario)
    idle = layout("lab", equipped, 1, Overrides()).devices
    assert idle
    assert idle.placements == ()
    wish = Overrides(models={"delay": ModelOverride(device="nvidia-l4")})
    facts = Facts(inventory(equipped.devices, ()), GAINS)
    plan = layout("lab", equipped, 1, wish, devices=facts)
    assert plan.devices
    assert [(p.unit, p.replica, p.device) for p in plan.devices.placements] == [
        ("online", 0, "l4-0"),
        ("online", 1, "l4-1"),
        ("online", 2, "l4-2"),
    ]
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    again = replace(facts, held=plan.devices.placements)
    assert diff(plan, layout("lab", equipped, 1, wish, devices=again)) == ()


def test_devices_in_words(scenario: Scenario) -> None:
    equipped = with_devices(scenario)
    facts = Facts(inventory(equipped.devices, ()), GAINS)

    def plan(wish: str, replicas: int, facts: Facts = facts) -> Plan:
        wanted = Overrides(models={"delay": ModelOverride(device=wish, replicas=replicas)})
        return layout("lab", equipped, 1, wanted, devices=facts)

    off, one, two = plan("off", 2), plan("on", 1), plan("on", 2)
    assert diff(off, two) == (
        "reserve l4-0 (emulated NVIDIA L4, 512 MiB) for replica 0 of delay",
        "reserve l4-1 (emulated NVIDIA L4, 512 MiB) for replica 1 of delay",
    )
    assert diff(two, off) == ("free l4-0, held by replica 0 of delay", "free l4-1, held by replica 1 of delay")
    assert "free l4-1, held by replica 1 of delay" in diff(two, one)
    there = tuple(d.model_copy(update={"basis": DeviceBasis.REAL}) for d in facts.inventory[1:])
    assert diff(one, plan("on", 1, Facts(there, GAINS))) == (
        "move replica 0 of delay from l4-0 to l4-1 (real NVIDIA L4, 512 MiB)",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"device_apart": [["ops", "nobody"]]}, "device_apart names team 'nobody'"),
        ({"devices": [0, 0]}, "two devices share a name"),
        ({"devices": [0, 1]}, "nvidia-l4 and nvidia-t4 can't both be priced as device"),
        ({"prices": "none"}, "nvidia-l4 has no price: device is missing"),
    ],
)
def test_devices_that_can_not_be_declared(scenario: Scenario, change: dict[str, Any], said: str) -> None:
    tree = with_devices(scenario).model_dump()
    first = tree["devices"][0]
    others = [first, {**first, "name": "t4-0", "device_class": "nvidia-t4"}]
    if "devices" in change:
        tree["devices"] = [others[index] for index in change["devices"]]
    if "prices" in change:
        tree["prices"] = scenario.prices.model_dump()
    tree.update({"device_apart": change["device_apart"]} if "device_apart" in change else {})
    with pytest.raises(ValidationError, match=said):
        Scenario.model_validate(tree)


def test_an_autoscaled_pool_starts_from_what_its_models_ask_for(scenario: Scenario) -> None:
    wanted = Overrides(autoscale={"online": Autoscaling(signal=Signal.CPU, target_milli=300, max_replicas=6)})
    fixed, scaled = layout("lab", scenario, 1, Overrides()), layout("lab", scenario, 1, wanted)
    unit = scaled.unit("online")
    assert (unit.replicas, unit.autoscaling) == (3, (wanted.autoscale or {})["online"])
    assert diff(fixed, scaled) == ("autoscale online on cpu, 3 to 6 replicas, 300 m per pod",)
    assert diff(scaled, fixed) == ("keep online at 3 replicas",)
    assert scaled.reservations == fixed.reservations


@pytest.mark.parametrize(
    ("pool", "most", "said"), [("online", 3, "online has 3 replicas anyway"), ("onlin", 4, "There is no pool 'onlin'")]
)
def test_autoscaling_that_can_do_nothing_is_refused(scenario: Scenario, pool: str, most: int, said: str) -> None:
    wanted = Autoscaling(signal=Signal.CONCURRENCY, target_milli=1000, max_replicas=most)
    with pytest.raises(UserError, match=said):
        layout("lab", scenario, 1, Overrides(autoscale={pool: wanted}))
