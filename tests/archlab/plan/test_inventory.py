from __future__ import annotations

import pytest
from pydantic import ValidationError

from archlab.plan.inventory import inventory, unused
from archlab.spec.devices import MIB, DeclaredDevice, DeclaredSlices, Device, DeviceBasis

L4 = DeclaredDevice(name="l4-0", device_class="nvidia-l4", product="NVIDIA L4", memory_mib=23_034)
A100 = DeclaredDevice(
    name="a100-0",
    device_class="nvidia-a100-40gb",
    product="NVIDIA A100-PCIE-40GB",
    memory_mib=40_960,
    slices=(DeclaredSlices(profile="1g.5gb", memory_mib=4864, count=2),),
)


def real(product: str, mib: int, index: int = 0) -> Device:
    return Device(
        name=f"gpu-{index}",
        device_class="nvidia",
        product=product,
        memory_bytes=mib * MIB,
        basis=DeviceBasis.REAL,
        uuid=f"GPU-{index}",
        index=index,
    )


def test_a_declared_device_that_is_not_there_is_emulated() -> None:
    found, card = inventory([L4, A100], [])
    assert (found.basis, found.uuid, found.stands_in) == (DeviceBasis.EMULATED, "emulated-l4-0", "")
    assert [s.name for s in card.slices] == ["a100-0/1g.5gb-0", "a100-0/1g.5gb-1"]
    assert {s.memory_bytes for s in card.slices} == {4864 * MIB}


def test_a_real_device_stands_in_and_keeps_the_declared_size() -> None:
    there = [real("NVIDIA H100", 81_559, 1), real("NVIDIA L4", 23_034, 2)]
    (found,) = inventory([L4], there)
    assert (found.basis, found.uuid, found.index, found.stands_in) == (DeviceBasis.REAL, "GPU-2", 2, "NVIDIA L4")
    assert unused([found], there) == (there[0],)
    (larger,) = inventory([L4], there[:1])
    assert (larger.stands_in, larger.memory_bytes) == ("NVIDIA H100", 23_034 * MIB)
    (small,) = inventory([L4], [real("NVIDIA T4", 15_360)])
    assert small.basis is DeviceBasis.EMULATED


def test_one_real_device_stands_in_once_and_never_for_slices() -> None:
    first, second, card = inventory(
        [L4, L4.model_copy(update={"name": "l4-1"}), A100], [real("NVIDIA L4", 23_034), real("NVIDIA T4", 15_360, 1)]
    )
    assert [d.basis for d in (first, second, card)] == [
        DeviceBasis.REAL,
        DeviceBasis.EMULATED,
        DeviceBasis.EMULATED,
    ]


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        ([("3g.20gb", 20_096, 3)], "9 compute slices, a card has 7"),
        ([("1g.5gb", 9_000, 5)], "its slices hold 45000 MiB, the card 40960 MiB"),
        ([("5gb.1g", 100, 1)], "pattern"),
    ],
)
def test_slices_that_no_card_can_have_are_refused(slices: list[tuple[str, int, int]], said: str) -> None:
    declared = [{"profile": p, "memory_mib": mib, "count": count} for p, mib, count in slices]
    with pytest.raises(ValidationError, match=said):
        DeclaredDevice.model_validate({**A100.model_dump(), "slices": declared})
