"""The inventory: declared devices, each with the real one that stands in for it where there is one. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from archlab.spec.devices import MIB, DeclaredDevice, Device, DeviceBasis, DeviceSlice


def inventory(declared: Sequence[DeclaredDevice], real: Sequence[Device]) -> tuple[Device, ...]:
    """What the planner may hand out: the scenario's devices, in its order.

    A real device stands in for a declared one when its memory suffices: one of the same product, else the smallest. It
    keeps the declared size, so that every learner plans with the same quota. Devices declared in slices are emulated:
    nobody splits the cards of a learner's machine.
    """
    free = sorted((d for d in real if not d.slices), key=lambda d: (d.memory_bytes, d.name))
    found = []
    for device in declared:
        suits = [] if device.slices else [r for r in free if r.memory_bytes >= device.memory_mib * MIB]
        chosen = next((r for r in suits if r.product == device.product), suits[0] if suits else None)
        if chosen:
            free.remove(chosen)
        found.append(_device(device, chosen))
    return tuple(found)


def unused(devices: Sequence[Device], real: Sequence[Device]) -> tuple[Device, ...]:
    """Real devices that stand in for nothing."""
    taken = {d.uuid for d in devices}
    return tuple(d for d in real if d.uuid not in taken)


def _device(declared: DeclaredDevice, real: Device | None) -> Device:
    return Device(
        name=declared.name,
        device_class=declared.device_class,
        product=declared.product,
        memory_bytes=declared.memory_mib * MIB,
        slices=_slices(declared),
        basis=DeviceBasis.REAL if real else DeviceBasis.EMULATED,
        uuid=real.uuid if real else f"emulated-{declared.name}",
        index=real.index if real else 0,
        stands_in=real.product if real else "",
    )


def _slices(declared: DeclaredDevice) -> tuple[DeviceSlice, ...]:
    return tuple(
        DeviceSlice(
            name=f"{declared.name}/{kind.profile}-{number}", profile=kind.profile, memory_bytes=kind.memory_mib * MIB
        )
        for kind in declared.slices
        for number in range(kind.count)
    )
