from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from tests.archlab_serving.conftest import write_json
from tests.archlab_serving.test_devices import MIB, document

from archlab_serving.device_metrics import DeviceMetrics
from archlab_serving.devices import Devices
from archlab_serving.nvml import gpus
from nvml import Card, Library


def card(gpu: str, uuid: str, basis: str) -> str:
    return f'GPU_I_PROFILE="",UUID="{uuid}",basis="{basis}",device="l4-0",gpu="{gpu}",modelName="NVIDIA L4"'


def exposed(devices: Devices, library: Library | None = None) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(DeviceMetrics(devices, lambda: gpus(lambda: library)))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[0] != "#"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "devices.json"


def read(file: Path, *args: Any, **changes: Any) -> Devices:
    write_json(file, document(*args, **changes))
    found = Devices(file)
    found.read()
    return found


def test_a_server_without_devices_exposes_nothing_of_them() -> None:
    assert exposed(Devices(None)) == {}


def test_of_an_emulated_card_only_its_booked_memory_is_known(file: Path) -> None:
    found = read(file, models={"delay": 3 * MIB}, reserved_bytes=5 * MIB)
    lease = found.lease("delay", "7", 1000)
    there = card("l4-0", "emulated-l4-0", "emulated")
    on, version = 'basis="emulated",device="l4-0",model="delay"', 'version="7"'
    assert exposed(found, Library([Card()])) == {
        f"DCGM_FI_DEV_FB_USED{{{there}}}": 5,
        f"DCGM_FI_DEV_FB_FREE{{{there}}}": 19,
        f'archlab_model_device{{{on},provider="CPUExecutionProvider",{version}}}': 1,
        f"archlab_model_device_memory_bytes{{{on},{version}}}": 1000,
    }
    assert lease is not None


def test_of_a_real_card_what_its_driver_says(file: Path) -> None:
    found = read(file, "real", uuid="GPU-1")
    there = card("0", "GPU-1", "real")
    assert exposed(found, Library([Card()])) == {
        f"DCGM_FI_DEV_FB_USED{{{there}}}": 476,
        f"DCGM_FI_DEV_FB_FREE{{{there}}}": 22557,
        f"DCGM_FI_DEV_GPU_UTIL{{{there}}}": 37,
        f"DCGM_FI_DEV_MEM_COPY_UTIL{{{there}}}": 12,
        f"DCGM_FI_DEV_POWER_USAGE{{{there}}}": 28.5,
    }


def test_what_a_driver_does_not_say_is_left_out(file: Path) -> None:
    found = read(file, "real", uuid="GPU-1")
    silent = exposed(found, Library([Card(rates=None, milliwatts=None)]))
    assert {name.partition("{")[0] for name in silent} == {"DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"}
    assert exposed(found, Library([Card(uuid="GPU-2")])) == {}
    assert exposed(found, Library(driver=False)) == {}


def test_nodes_as_profiled(file: Path) -> None:
    found = read(file, "real", uuid="GPU-1")
    lease = found.lease("delay", "1", 1000)
    assert lease is not None
    lease.provider, lease.nodes = "CUDAExecutionProvider", {"CPUExecutionProvider": 2, "CUDAExecutionProvider": 12}
    text = exposed(found)
    assert text['archlab_model_device_nodes{model="delay",provider="CUDAExecutionProvider",version="1"}'] == 12
    assert text['archlab_model_device_nodes{model="delay",provider="CPUExecutionProvider",version="1"}'] == 2
