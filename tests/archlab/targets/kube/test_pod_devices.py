"""Placements as what pods ask for; and the document that a pod's server reads, with the card that it holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from archlab.control.published import Published
from archlab.errors import PlacementError
from archlab.files import write_model
from archlab.plan.inventory import inventory
from archlab.plan.placement import Need, place
from archlab.settings import LabFolder
from archlab.spec.devices import MIB, DeclaredDevice, DeclaredSlices, Gain
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Plan, Role, Unit
from archlab.spec.release import ReleaseFeed
from archlab.targets.kube.pod_devices import added, check, check_offered, pod_document, requests
from archlab.targets.kube.values import values
from archlab_device_plugin.devices import Device as DeviceOfPlugin
from archlab_serving.devices import parse

GAINS = Gain(gains=True, basis="measured", because="it multiplies matrices")
L4 = [DeclaredDevice(name=f"l4-{n}", device_class="nvidia-l4", product="NVIDIA L4", memory_mib=2_000) for n in (0, 1)]
SLICES = (DeclaredSlices(profile="1g.5gb", memory_mib=4864, count=2),)
A100 = DeclaredDevice(
    name="a100-0", device_class="nvidia-a100-40gb", product="NVIDIA A100", memory_mib=40_960, slices=SLICES
)
UNITS = tuple(
    Unit(name=name, role=Role.SERVER, replicas=2, pool=name, runtime="uvicorn", serves="onnx")
    for name in ("online", "other")
)
CARD = DeviceOfPlugin("nvidia.com/gpu", "l4-7", "l4-7", "nvidia-l4", "NVIDIA L4", "", 1_500 * MIB)
HELD = {"ARCHLAB_DEVICE_NVIDIA_COM_GPU_INFO": json.dumps([CARD.describe("n")])}


def need(model: str, replicas: int = 1, wanted: str = "on", unit: str = "online", mib: int = 300) -> Need:
    return Need(model, "ops", unit, replicas, mib * MIB, wanted, gain=GAINS)


def plan(*needs: Need, cards: Sequence[DeclaredDevice] = (*L4, A100)) -> Plan:
    placed = place(needs, inventory(cards, ()))
    assert all(said.outcome.value != "refused" for said in placed.explanations), placed.explanations
    return Plan(lab="lab", scenario="s", seed=1, units=UNITS, routes=(), reservations=(), devices=placed)


def test_every_pod_asks_for_what_the_first_replica_needs() -> None:
    check(plan(need("a", 2, "nvidia-l4")))
    assert requests(plan(need("a", 2, "nvidia-l4"))) == {"online": {"nvidia.com/gpu": 1}}
    assert requests(plan(need("a", 1, "1g.5gb"), need("b", 1, "1g.5gb"))) == {"online": {"nvidia.com/mig-1g.5gb": 2}}


def test_models_that_share_a_card_ask_for_it_once() -> None:
    assert requests(plan(need("a", 1, "nvidia-l4"), need("b", 1, "nvidia-l4"))) == {"online": {"nvidia.com/gpu": 1}}


def test_a_plan_without_placements_asks_for_nothing() -> None:
    empty = plan(need("a")).model_copy(update={"devices": None})
    assert requests(empty) == {}
    assert pod_document(empty, "online") is None
    assert pod_document(plan(need("a")), "other") is None


def test_replicas_on_different_kinds_of_device_are_refused() -> None:
    with pytest.raises(PlacementError, match=r"nvidia.com/gpu .* nvidia.com/mig-1g.5gb .* all alike") as refused:
        check(plan(need("a", 2), cards=(L4[0], A100)))
    assert "archlab set a replicas 1" in refused.value.remedy


def test_a_card_shared_by_pods_of_two_units_is_refused() -> None:
    with pytest.raises(PlacementError, match="l4-0 would be shared by online-0 and other-0"):
        check(plan(need("a", 1, "nvidia-l4"), need("b", 1, "nvidia-l4", "other")))


def test_only_what_is_new_is_looked_for_on_the_nodes() -> None:
    cpu, card = plan(need("a", wanted="off", unit="online")), plan(need("a", 1, "nvidia-l4"))
    assert added(cpu, card) == {"nvidia.com/gpu"}
    assert added(card, card) == set()
    assert added(card, cpu) == set()


@pytest.mark.parametrize("allocatable", [{}, {"nvidia.com/gpu": "0"}, {"nvidia.com/mig-1g.5gb": "4"}])
def test_a_resource_that_no_node_offers_is_refused_with_how_to_get_it(allocatable: dict[str, str]) -> None:
    node = {"status": {"allocatable": {"cpu": "2", "memory": "4Gi", **allocatable}}}
    with pytest.raises(PlacementError, match=r"offers a healthy nvidia.com/gpu") as refused:
        check_offered({"nvidia.com/gpu"}, [node], "ten-models")
    assert "archlab cluster install --devices ten-models" in refused.value.remedy
    other = {"status": {"allocatable": {"nvidia.com/gpu": "1"}}}
    check_offered({"nvidia.com/gpu"}, [node, other], "ten-models")
    check_offered({"nvidia.com/gpu"}, None, "ten-models")


def test_the_chart_is_told_and_units_without_devices_are_as_before() -> None:
    place_ = KubePlace(kubeconfig="/x", namespace="lab", image="archlab:1", serving_image="archlab-serving:1")
    gateway = Unit(name="gateway", role=Role.GATEWAY, replicas=1)
    found = plan(need("a", 1, "nvidia-l4"))
    units = values(found.model_copy(update={"units": (gateway, *UNITS)}), place_, {})["units"]
    assert units["online"]["devices"] == {"nvidia.com/gpu": 1}
    assert "devices" not in units["other"]


def test_control_publishes_devices_to_the_pods_that_have_some(folder: LabFolder) -> None:
    write_model(folder.releases / "feed.json", ReleaseFeed(sequence=0, releases=()))
    write_model(folder.plan, plan(need("a", 1, "nvidia-l4")))
    published = Published(folder)
    paths = [file.path for file in published.manifest("server", "online", "online").files]
    assert paths == ["devices.json", "releases/feed.json"], "devices first: models are loaded where they belong at once"
    assert [file.path for file in published.manifest("server", "other", "other").files] == ["releases/feed.json"]
    write_model(folder.plan, plan(need("a", 1, "nvidia-l4")).model_copy(update={"devices": None}))
    assert [file.path for file in published.manifest("server", "online", "online").files] == ["releases/feed.json"]


def test_the_server_puts_the_card_that_its_pod_holds_in_the_planned_ones_place() -> None:
    document = json.dumps(pod_document(plan(need("a", 2, "nvidia-l4")), "online")).encode()
    found = parse(document, HELD).of("a")
    assert found is not None
    assert (found.device.name, found.device.uuid, found.device.basis) == ("l4-7", "emulated-n-l4-7", "emulated")
    assert (found.device.memory_bytes, found.memory_bytes) == (1_500 * MIB, 300 * MIB)
    assert found.device.reserved_bytes == 300 * MIB


def test_a_pod_that_holds_no_card_computes_on_the_cpu() -> None:
    document = json.dumps(pod_document(plan(need("a", 1, "nvidia-l4"), need("b", 1, "1g.5gb")), "online")).encode()
    assert parse(document, {}).of("a") is None
    assert parse(document, {}).devices == ()
    assert parse(document, HELD).of("a") is not None
    assert parse(document, HELD).of("b") is None


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    return LabFolder(tmp_path / "lab")
