"""What `archlab devices` makes of a plan; the command itself is run in tests/e2e."""

from __future__ import annotations

import pytest

from archlab.cli.devices import device_facts, wishes
from archlab.errors import UsageError, UserError
from archlab.plan.inventory import inventory
from archlab.plan.placement import Need, place
from archlab.spec.devices import MIB, DeclaredDevice, DeclaredSlices, Gain

L4 = DeclaredDevice(name="l4-0", device_class="nvidia-l4", product="NVIDIA L4", memory_mib=1_000)
A100 = DeclaredDevice(
    name="a100-0",
    device_class="nvidia-a100-40gb",
    product="NVIDIA A100-PCIE-40GB",
    memory_mib=40_960,
    slices=(DeclaredSlices(profile="1g.5gb", memory_mib=4864, count=2),),
)
GAINS = Gain(gains=True, basis="measured", because="it multiplies matrices")


def test_used_and_free_are_what_others_can_not_and_can_have() -> None:
    needs = [
        Need("a", "ops", "online", 1, 300 * MIB, "nvidia-l4", gain=GAINS),
        Need("b", "ops", "online", 1, 300 * MIB, "1g.5gb", gain=GAINS),
    ]
    plan = place(needs, inventory([L4, A100], ()))
    whole, split = (device_facts(device, plan) for device in plan.inventory)
    assert (whole["used_bytes"], whole["free_bytes"], whole["holders"]) == (300 * MIB, 700 * MIB, ["a-0"])
    assert (split["used_bytes"], split["free_bytes"]) == (4864 * MIB, 4864 * MIB), "a slice is taken whole"
    assert split["holders"] == ["b-0 in 1g.5gb-0"]
    alone = place([Need("a", "ops", "online", 1, MIB, exclusive=True, gain=GAINS)], inventory([L4], ()))
    assert device_facts(alone.inventory[0], alone)["free_bytes"] == 0


def test_wishes_as_typed() -> None:
    assert wishes(["a=on", "b=nvidia-l4"]) == {"a": "on", "b": "nvidia-l4"}
    with pytest.raises(UsageError, match="has no ="):
        wishes(["a"])
    with pytest.raises(UserError, match="device can't be"):
        wishes(["a=9g.1gb"])
