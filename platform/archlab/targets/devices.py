"""What each server is told of devices: one file per replica in `conf/devices/`, which the server watches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archlab.files import write_atomic
from archlab.settings import LabFolder
from archlab.spec.devices import DeviceBasis, DevicePlacement, DevicePlan
from archlab.spec.plan import Plan, Role

FORMAT = "archlab/serving-devices/v1"


def path(folder: LabFolder, unit: str, index: int) -> Path:
    """The file of one replica."""
    return folder.conf / "devices" / f"{unit}-{index}.json"


def write(folder: LabFolder, plan: Plan) -> None:
    """Every replica's file, where it has changed; before a server is started that reads it.

    A server on a changed file loads what moved beside what serves, so no request waits.
    """
    for unit in plan.units:
        if unit.role is not Role.SERVER:
            continue
        for index in range(unit.replicas):
            text = json.dumps(document(plan.devices, unit.name, index), indent=1) + "\n"
            file = path(folder, unit.name, index)
            if not file.exists() or file.read_text() != text:
                file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_atomic(file, text)


def document(plan: DevicePlan | None, unit: str, index: int) -> dict[str, Any]:
    """The devices that the replica has models on, and those models."""
    own = [p for p in plan.placements if (p.unit, p.replica) == (unit, index)] if plan else []
    entries = {_name(p): _device(plan, p) for p in own} if plan else {}
    return {
        "format": FORMAT,
        "devices": list(entries.values()),
        "models": {p.model: {"device": _name(p), "memory_bytes": p.memory_bytes} for p in own},
    }


def _name(placed: DevicePlacement) -> str:
    return placed.slice or placed.device


def _device(plan: DevicePlan, placed: DevicePlacement) -> dict[str, Any]:
    device = plan.device(placed.device)
    part = next((s for s in device.slices if s.name == placed.slice), None)
    on = [p for p in plan.placements if (p.device, p.slice) == (placed.device, placed.slice)]
    return {
        "name": _name(placed),
        "uuid": device.uuid if part is None else f"{device.uuid}/{part.name.partition('/')[2]}",
        "product": device.stands_in or device.product,
        "basis": device.basis.value,
        "index": device.index if device.basis is DeviceBasis.REAL else 0,
        "profile": part.profile if part else "",
        "memory_bytes": part.memory_bytes if part else device.memory_bytes,
        "reserved_bytes": sum(p.memory_bytes for p in on),
    }
