"""What passes and what is refused between two plans; and what a registry and a server say."""

from __future__ import annotations

import pytest

from archlab.errors import PlacementError
from archlab.lab.devices import Spot, check, gain_of, real_devices, shared, taken, untaken
from archlab.plan.inventory import inventory
from archlab.plan.placement import Need, place
from archlab.spec.devices import DeclaredDevice, DevicePlan, Gain, NodeSupport
from archlab.spec.plan import Plan

L4 = DeclaredDevice(name="l4-0", device_class="nvidia-l4", product="NVIDIA L4", memory_mib=1_000)
GAINS = Gain(gains=True, basis="measured", because="it multiplies matrices")
NO_GAIN = Gain(gains=False, basis="measured", because="it walks trees")


def plan(devices: DevicePlan | None) -> Plan:
    return Plan(lab="lab", scenario="s", seed=1, units=(), routes=(), reservations=(), devices=devices)


def placed(*needs: Need) -> Plan:
    return plan(place(needs, inventory([L4], ())))


def need(
    model: str, wanted: str, mib: int = 600, replicas: int = 1, *, online: bool = True, gain: Gain = GAINS
) -> Need:
    return Need(model, "ops", "online", replicas, mib << 20, wanted, online=online, gain=gain)


def test_who_asks_and_is_placed_passes() -> None:
    check(placed(need("a", "off")), placed(need("a", "on")), asking="a")
    check(placed(need("a", "on")), placed(need("a", "off")), asking="a")
    check(plan(None), plan(None), asking="a")


@pytest.mark.parametrize(
    ("asked", "said", "remedy"),
    [
        (need("a", "on", gain=NO_GAIN), "it gains nothing from a device, because it walks trees", "archlab devices"),
        (need("a", "on", online=False), "its answers come from a table", "archlab set a mode online"),
        (need("a", "on", 2_000), "the largest hole on l4-0 is 1,000 MiB", "archlab devices"),
        (need("a", "on", 100, 2), "replicas of one model never share a card", "Use fewer replicas first"),
    ],
)
def test_who_asks_in_vain_is_told_why_and_what_next(asked: Need, said: str, remedy: str) -> None:
    with pytest.raises(PlacementError) as refused:
        check(placed(need("a", "off")), placed(asked), asking="a")
    assert said in refused.value.message
    assert refused.value.message.endswith("Nothing was changed.")
    assert remedy in refused.value.remedy
    assert refused.value.exit_code == 1


def test_a_change_that_costs_a_model_its_device_is_refused() -> None:
    before = placed(need("a", "on"))
    with pytest.raises(PlacementError, match="replicas of one model never share a card"):
        check(before, placed(need("a", "on", replicas=2)))


def test_what_was_refused_before_is_nobodys_fault_now() -> None:
    waiting = need("b", "on", gain=NO_GAIN)
    check(placed(need("a", "off"), waiting), placed(need("a", "on"), waiting), asking="a")
    check(placed(need("a", "on")), placed(need("a", "on", online=False)))


def test_the_tag_of_a_version() -> None:
    support = NodeSupport(nodes=3, supported_nodes=3, flops=5000, supported_flops=5000)
    found = gain_of({"archlab.device_support": support.model_dump_json()})
    assert found
    assert found.gains
    assert gain_of({}) is None
    assert gain_of({"archlab.device_support": '{"nodes": "many"}'}) is None


def test_what_servers_hold_by_the_labs_metrics() -> None:
    text = (
        "# TYPE archlab_model_device gauge\n"
        'archlab_model_device{basis="emulated",device="a100-0/1g.5gb-0",model="a",provider="CPUExecutionProvider",'
        'version="1",unit="online",replica="1"} 1.0\n'
        'archlab_model_device_memory_bytes{device="l4-0",model="b",unit="online",replica="0"} 100.0\n'
    )
    assert taken(text) == {Spot("a", "a100-0/1g.5gb-0", "online", "1")}


def test_what_is_not_held_yet() -> None:
    wanted = {Spot("a", "l4-0", "online", "0")}
    pods = {Spot("a", "l4-1", "online", "7f9-x2"), Spot("b", "l4-0", "online", "7f9-x3")}
    assert untaken(wanted, wanted, here=True) == set()
    assert untaken(wanted, pods, here=True) == wanted, "the card counts where the plan chooses it"
    assert untaken(wanted, pods, here=False) == set(), "a cluster chooses cards itself and names its pods"
    assert untaken(wanted, set(), here=False) == wanted


def test_replicas_of_one_model_on_one_card_are_told() -> None:
    held = [
        Spot("a", "a100-0/1g.5gb-0", "online", "7f9-x2"),
        Spot("a", "a100-0/1g.5gb-1", "online", "7f9-x3"),
        Spot("b", "a100-0/1g.5gb-2", "other", "7f9-x4"),
        Spot("b", "a100-1/1g.5gb-0", "other", "7f9-x5"),
        Spot("c", "l4-0", "online", "7f9-x2"),
    ]
    assert shared(held) == {("a", "a100-0"): 2}
    assert shared(held[:1]) == shared([*held[:1], *held[:1]]) == {}


def test_real_devices_are_read_without_a_driver_too() -> None:
    assert all(device.basis == "real" for device in real_devices())
