from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archlab.spec.devices import DeclaredDevice, DeclaredSlices
from archlab.targets.kube.cluster_state import device_values
from archlab_device_plugin import devices
from archlab_device_plugin.devices import ConfigurationError, by_resource, parse, unhealthy

L4 = {"name": "l4", "class": "nvidia-l4", "product": "NVIDIA L4", "memoryMib": 23034, "count": 2}
A100 = {
    "name": "a100",
    "class": "nvidia-a100-40gb",
    "product": "NVIDIA A100-PCIE-40GB",
    "memoryMib": 40960,
    "slices": [{"profile": "1g.5gb", "memoryMib": 4864, "count": 4}, {"profile": "3g.20gb", "memoryMib": 20096}],
}


def document(*cards: dict[str, Any]) -> dict[str, Any]:
    return {"format": devices.FORMAT, "devices": list(cards)}


def test_cards_and_slices_become_resources() -> None:
    found = by_resource(parse(document(L4, A100)))
    assert {resource: [d.name for d in held] for resource, held in found.items()} == {
        "nvidia.com/gpu": ["l4-0", "l4-1"],
        "nvidia.com/mig-1g.5gb": [f"a100/1g.5gb-{n}" for n in range(4)],
        "nvidia.com/mig-3g.20gb": ["a100/3g.20gb-0"],
    }


def test_every_identity_says_emulated() -> None:
    for device in parse(document(L4, A100)):
        assert device.id.startswith("emulated-")
        assert device.describe("node-1")["basis"] == "emulated"
        assert device.describe("node-1")["uuid"] == f"emulated-node-1-{device.id.removeprefix('emulated-')}"


def test_a_scenarios_devices_keep_their_names() -> None:
    declared = (
        DeclaredDevice(name="l4-0", device_class="nvidia-l4", product="NVIDIA L4", memory_mib=23034),
        DeclaredDevice(
            name="a100-0",
            device_class="nvidia-a100-40gb",
            product="NVIDIA A100-PCIE-40GB",
            memory_mib=40960,
            slices=(DeclaredSlices(profile="1g.5gb", memory_mib=4864, count=2),),
        ),
    )
    values = device_values(declared)["devicePlugin"]["devices"]
    assert [d.name for d in parse(document(*values))] == ["l4-0", "a100-0/1g.5gb-0", "a100-0/1g.5gb-1"]


@pytest.mark.parametrize(
    ("named", "marked"),
    [
        ("", []),
        ("l4-0", ["l4-0"]),
        ("emulated-l4-1,  l4-0", ["l4-0", "l4-1"]),
        ("a100", [f"a100/1g.5gb-{n}" for n in range(4)] + ["a100/3g.20gb-0"]),
        ("a100/3g.20gb-0", ["a100/3g.20gb-0"]),
        ("h100-0", []),
    ],
)
def test_names_mark_devices(named: str, marked: list[str]) -> None:
    found = parse(document(L4, A100))
    assert [d.name for d in found if d.id in unhealthy(found, named)] == marked


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({}, "format"),
        ({"format": devices.FORMAT}, "devices is not a list"),
        (document({**L4, "name": "L4"}), "devices[0].name"),
        (document(L4, {**L4, "count": 0}), "devices[1].count"),
        (document({**L4, "memoryMib": "a lot"}), "devices[0].memoryMib"),
        (document({**A100, "slices": [{"profile": "9g.5gb", "memoryMib": 1}]}), "devices[0].slices[0].profile"),
        (document({**A100, "slices": [{"profile": "4g.20gb", "memoryMib": 1, "count": 2}]}), "8 of 7 compute slices"),
        (document({**A100, "slices": [{"profile": "1g.5gb", "memoryMib": 40961}]}), "40961 of 40960 MiB"),
        (document(L4, L4), "two devices share a name"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(wrong)
    assert place in str(caught.value)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_text(json.dumps(document(L4))[:-1])
    with pytest.raises(ConfigurationError, match=r"devices\.json"):
        devices.load(path)
