from __future__ import annotations

import json
from pathlib import Path

import pytest

from archlab.plan.inventory import inventory
from archlab.plan.placement import Need, place
from archlab.settings import LabFolder
from archlab.spec.devices import MIB, DeclaredDevice, DeclaredSlices, Device, DeviceBasis, Gain
from archlab.spec.plan import Plan, Role, Unit
from archlab.targets import devices
from archlab.targets.commands import LocalCommands
from archlab_serving.devices import parse

ONLINE = Unit(name="online", role=Role.SERVER, replicas=2, pool="online", runtime="uvicorn", serves="onnx")
GAINS = Gain(gains=True, basis="measured", because="it multiplies matrices")
L4 = DeclaredDevice(name="l4-0", device_class="nvidia-l4", product="NVIDIA L4", memory_mib=2_000)
A100 = DeclaredDevice(
    name="a100-0",
    device_class="nvidia-a100-40gb",
    product="NVIDIA A100-PCIE-40GB",
    memory_mib=40_960,
    slices=(DeclaredSlices(profile="1g.5gb", memory_mib=4864, count=2),),
)
REAL = Device(
    name="gpu-3",
    device_class="nvidia-h100",
    product="NVIDIA H100",
    memory_bytes=81_559 * MIB,
    basis=DeviceBasis.REAL,
    uuid="GPU-abc",
    index=3,
)


def need(model: str, mib: int, replicas: int = 2, wanted: str = "on") -> Need:
    return Need(model, "ops", "online", replicas, mib * MIB, wanted, gain=GAINS)


def plan(*real: Device) -> Plan:
    needs = [need("a", 1_000), need("b", 300, 1, "nvidia-l4"), need("c", 100, wanted="off")]
    placed = place(needs, inventory([L4, A100], real))
    return Plan(lab="lab", scenario="s", seed=1, units=(ONLINE,), routes=(), reservations=(), devices=placed)


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    return LabFolder(tmp_path / "lab")


def test_a_server_understands_what_it_is_told(folder: LabFolder) -> None:
    devices.write(folder, plan())
    first = parse(Path(LocalCommands(folder)(ONLINE, 0).env["ARCHLAB_SERVING_DEVICES"]).read_bytes())
    second = parse(Path(LocalCommands(folder)(ONLINE, 1).env["ARCHLAB_SERVING_DEVICES"]).read_bytes())
    placed, other = first.of("a"), second.of("a")
    assert placed is not None
    assert other is not None
    assert (placed.device.name, placed.device.basis, placed.memory_bytes) == ("l4-0", "emulated", 1_000 * MIB)
    assert (placed.device.memory_bytes, placed.device.reserved_bytes) == (2_000 * MIB, 1_300 * MIB)
    assert (other.device.name, other.device.profile) == ("a100-0/1g.5gb-0", "1g.5gb")
    assert other.device.uuid == "emulated-a100-0/1g.5gb-0"
    assert other.device.memory_bytes == 4864 * MIB
    assert (first.of("b") is None, second.of("b"), second.of("c")) == (False, None, None)


def test_a_real_card_is_named_as_its_driver_names_it(folder: LabFolder) -> None:
    devices.write(folder, plan(REAL))
    card = json.loads(devices.path(folder, "online", 0).read_text())["devices"][0]
    assert (card["basis"], card["uuid"], card["index"], card["product"]) == ("real", "GPU-abc", 3, "NVIDIA H100")
    assert card["memory_bytes"] == 2_000 * MIB, "the declared quota counts, not the card's size"


def test_a_file_is_written_only_when_it_changes(folder: LabFolder) -> None:
    devices.write(folder, plan())
    file = devices.path(folder, "online", 0)
    stamp = file.stat().st_ino
    devices.write(folder, plan())
    assert file.stat().st_ino == stamp
    devices.write(folder, plan().model_copy(update={"devices": None}))
    assert file.stat().st_ino != stamp
    assert parse(file.read_bytes()).of("a") is None
