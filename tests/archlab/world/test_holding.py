"""What pods hold: the bill counts them, not the plan's replicas."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from archlab.ledger.lines import lines, overflow
from archlab.plan.inventory import inventory
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.plan.placement import Facts
from archlab.plan.resolve import override, resolve
from archlab.settings import scenarios_root
from archlab.spec.autoscaling import Autoscaling, Signal
from archlab.spec.devices import Gain
from archlab.spec.money import LineKind, Resource, UsageKind
from archlab.spec.plan import Plan
from archlab.spec.scenario import ModelOverride, Overrides, Scenario
from archlab.world.holding import as_held, as_replicas, ready_pods
from archlab.world.metering import Interval, Meter, Meters, usage

START = datetime(2013, 12, 2, 8, tzinfo=UTC)
SPAN = Interval(START, START + timedelta(minutes=30))
TEXT = """\
# TYPE archlab_up gauge
archlab_up{unit="online",replica="7d9-b"} 1
archlab_up{unit="online",replica="7d9-a"} 1
archlab_up{unit="online",replica="7d9-c"} 0
archlab_up{unit="bento",replica="55-x"} 1
"""
SCALED = Overrides(autoscale={"online": Autoscaling(signal=Signal.CPU, target_milli=300, max_replicas=4)})


def made(wanted: Overrides) -> tuple[Scenario, Plan]:
    scenario = resolve(load_scenario(scenarios_root() / "ten_models" / "scenario.yaml"), 1)[0]
    gain = Gain(gains=True, basis="measured", because="it multiplies matrices")
    facts = Facts(inventory(scenario.devices, ()), {"arrival-delay": gain})
    return override(scenario, wanted), layout("lab", scenario, 1, wanted, devices=facts)


def test_every_ready_pod_is_named() -> None:
    assert ready_pods(TEXT) == {"online": ("7d9-a", "7d9-b", "7d9-c"), "bento": ("55-x",)}


def test_an_autoscaled_pools_models_are_reserved_in_every_pod_and_a_fixed_ones_as_planned() -> None:
    _, plan = made(SCALED)
    held = as_held(plan, ready_pods(TEXT))
    assert {r.replicas for r in held.reservations if r.unit == "online"} == {3}
    assert [r for r in held.reservations if r.unit == "bento"] == [r for r in plan.reservations if r.unit == "bento"]
    assert as_held(plan, {}).reservations == plan.reservations, "not less than the least while pods are replaced"
    _, fixed = made(Overrides())
    assert as_held(fixed, ready_pods(TEXT)).reservations == fixed.reservations


def test_two_pods_hold_two_slices_and_both_are_on_the_bill() -> None:
    wish = Overrides(models={"arrival-delay": ModelOverride(device="1g.5gb", replicas=1)})
    scenario, plan = made(wish)
    assert plan.devices
    assert len(plan.devices.placements) == 1
    held = as_held(plan, {"online": ("a", "b")})
    found = [u for u in usage(SPAN, scenario, held, {}, [], Counter()) if u.resource is Resource.DEVICE_SLICE]
    assert [(u.unit, u.quantity) for u in found] == [("online-0", 1_800_000), ("online-1", 1_800_000)]
    assert len({u.id for u in found}) == 2


def test_what_pods_used_is_set_against_what_is_reserved() -> None:
    scenario, plan = made(Overrides())
    pods = {"online": ("7d9-a", "7d9-b"), "bento": ("55-x",)}
    spent: Meters = {
        Meter("flight-time", "online", "7d9-a"): 0.25,
        Meter("flight-time", "online", "7d9-b"): 0.5,
        Meter("flight-time", "online", "gone"): 0.125,
        Meter("cancellation-risk", "bento", "55-x"): 0.5,
    }
    numbered = as_replicas(spent, plan, pods)
    assert numbered == {
        Meter("flight-time", "online", "0"): 0.375,
        Meter("flight-time", "online", "1"): 0.5,
        Meter("cancellation-risk", "bento", "0"): 0.5,
    }
    found = usage(SPAN, scenario, plan, numbered, [], Counter())
    assert overflow(found) == []
    bill = lines(found, scenario.prices)
    assert {line.kind for line in bill if line.model == "flight-time"} == {LineKind.USED, LineKind.IDLE}
    used = sum(u.quantity for u in found if u.kind is UsageKind.USED and u.model == "flight-time")
    assert sum(line.quantity for line in bill if line.kind is LineKind.USED and line.model == "flight-time") == used


def test_a_model_in_more_pods_than_it_reserves_is_still_set_against_its_reservation() -> None:
    _, plan = made(Overrides(models={"flight-time": ModelOverride(replicas=1)}))
    spent = {Meter("flight-time", "online", name): 0.5 for name in ("a", "b")}
    assert as_replicas(spent, plan, {"online": ("a", "b")}) == {Meter("flight-time", "online", "0"): 1.0}
