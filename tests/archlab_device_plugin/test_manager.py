"""The manager against a kubelet that speaks the real protocol over a real socket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from archlab_device_plugin import messages
from archlab_device_plugin.devices import FORMAT, parse
from archlab_device_plugin.kubelet import Kubelet
from archlab_device_plugin.manager import UNCLEAR_S, Manager, State
from archlab_device_plugin.node import ApiError
from fake_kubelet import FakeKubelet

GPU, SMALL = "nvidia.com/gpu", "nvidia.com/mig-1g.5gb"
DEVICES = parse(
    {
        "format": FORMAT,
        "devices": [
            {"name": "l4", "class": "nvidia-l4", "product": "NVIDIA L4", "memoryMib": 23034, "count": 2},
            {
                "name": "a100",
                "class": "nvidia-a100-40gb",
                "product": "NVIDIA A100-PCIE-40GB",
                "memoryMib": 40960,
                "slices": [{"profile": "1g.5gb", "memoryMib": 4864, "count": 2}],
            },
        ],
    }
)
HEALTHY = {"emulated-l4-0": "Healthy", "emulated-l4-1": "Healthy"}


class LabelledNode:
    """Remembers the label; refuses while `refuses`."""

    def __init__(self) -> None:
        self.value: str | None = None
        self.refuses = False

    def label(self, value: str | None) -> None:
        if self.refuses:
            raise ApiError("PATCH node: 403")
        self.value = value


class Clock:
    """Seconds that only a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def node() -> LabelledNode:
    return LabelledNode()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manager(kubelet: FakeKubelet, node: LabelledNode, clock: Clock) -> Iterator[Manager]:
    made = Manager(DEVICES, node, "node-1", Kubelet(kubelet.folder), clock)
    yield made
    made.stop()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_resource_is_registered_and_the_node_labelled(
    kubelet: FakeKubelet, manager: Manager, node: LabelledNode
) -> None:
    manager.step()
    assert manager.ready
    assert node.value == "emulated"
    until(lambda: kubelet.registered.keys() == {GPU, SMALL})
    assert kubelet.registered[GPU] == HEALTHY


def test_a_container_is_told_what_it_holds(kubelet: FakeKubelet, manager: Manager) -> None:
    manager.step()
    request = messages.AllocateRequest(container_requests=[{"devices_ids": ["emulated-l4-1"]}, {}])
    first, second = kubelet.call(GPU, "Allocate", request, messages.AllocateResponse).container_responses
    assert first.envs["ARCHLAB_DEVICE_BASIS"] == "emulated"
    assert first.envs["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert first.envs["ARCHLAB_DEVICE_NVIDIA_COM_GPU"] == "l4-1"
    (held,) = json.loads(first.envs["ARCHLAB_DEVICE_NVIDIA_COM_GPU_INFO"])
    assert (held["uuid"], held["product"]) == ("emulated-node-1-l4-1", "NVIDIA L4")
    assert json.loads(second.envs["ARCHLAB_DEVICE_NVIDIA_COM_GPU_INFO"]) == []


def test_a_device_that_is_not_there_is_not_allocated(kubelet: FakeKubelet, manager: Manager) -> None:
    manager.step()
    request = messages.AllocateRequest(container_requests=[{"devices_ids": ["GPU-1"]}])
    with pytest.raises(grpc.RpcError, match=f"{GPU} has no device GPU-1"):
        kubelet.call(GPU, "Allocate", request, messages.AllocateResponse)


def test_health_is_told_at_once(kubelet: FakeKubelet, manager: Manager) -> None:
    manager.step()
    until(lambda: GPU in kubelet.registered)
    manager.mark("l4-0")
    until(lambda: kubelet.registered[GPU] == HEALTHY | {"emulated-l4-0": "Unhealthy"})
    manager.mark("")
    until(lambda: kubelet.registered[GPU] == HEALTHY)


def test_it_registers_again_after_the_kubelets_restart(kubelet: FakeKubelet, manager: Manager) -> None:
    manager.step()
    until(lambda: kubelet.registered.keys() == {GPU, SMALL})
    kubelet.checkpoint({GPU: [], SMALL: []})
    kubelet.stop()
    manager.step()
    assert not manager.ready
    kubelet.registered.clear()
    kubelet.start()
    manager.step()
    assert manager.ready
    until(lambda: kubelet.registered.keys() == {GPU, SMALL})
    assert kubelet.registered[GPU] == HEALTHY


def test_nothing_is_advertised_on_a_node_that_cant_be_labelled(
    kubelet: FakeKubelet, manager: Manager, node: LabelledNode
) -> None:
    node.refuses = True
    manager.step()
    assert not manager.ready
    assert not kubelet.endpoints
    node.refuses = False
    manager.step()
    assert manager.ready


def test_it_stands_aside_where_another_plugin_advertises_the_resource(
    kubelet: FakeKubelet, manager: Manager, node: LabelledNode
) -> None:
    kubelet.checkpoint({GPU: ["GPU-fef8089b"]})
    manager.step()
    assert manager.states == {GPU: State.ASIDE, SMALL: State.REGISTERED}
    assert kubelet.endpoints.keys() == {SMALL}
    assert node.value == "emulated"
    kubelet.checkpoint({GPU: [], SMALL: ["emulated-a100-1g.5gb-0"]})
    manager.step()
    assert manager.states[GPU] is State.ASIDE
    kubelet.checkpoint({SMALL: ["emulated-a100-1g.5gb-0"]})
    manager.step()
    assert manager.states[GPU] is State.REGISTERED


def test_a_node_with_real_devices_only_carries_no_label(
    kubelet: FakeKubelet, manager: Manager, node: LabelledNode
) -> None:
    kubelet.checkpoint({GPU: ["GPU-fef8089b"], SMALL: ["MIG-8f1b"]})
    manager.step()
    assert manager.ready
    assert node.value is None


def test_it_falls_silent_when_another_plugin_takes_over(kubelet: FakeKubelet, manager: Manager) -> None:
    manager.step()
    until(lambda: kubelet.registered.keys() == {GPU, SMALL})
    kubelet.checkpoint({GPU: ["GPU-fef8089b"], SMALL: ["emulated-a100-1g.5gb-0"]})
    manager.step()
    assert manager.states[GPU] is State.ASIDE
    manager.mark("l4-0,a100")
    until(lambda: set(kubelet.registered[SMALL].values()) == {"Unhealthy"})
    assert kubelet.registered[GPU] == HEALTHY


def test_a_resource_whose_owner_may_come_back_is_left_alone_for_a_while(
    kubelet: FakeKubelet, manager: Manager, clock: Clock
) -> None:
    kubelet.checkpoint({GPU: []})
    manager.step()
    assert manager.states[GPU] is State.WAITING
    clock.now += UNCLEAR_S
    manager.step()
    assert manager.states[GPU] is State.REGISTERED


def test_a_checkpoint_that_cant_be_understood_advertises_nothing(kubelet: FakeKubelet, manager: Manager) -> None:
    (kubelet.folder / "kubelet_internal_checkpoint").write_text('{"Data": {}}')
    manager.step()
    assert not manager.ready
    assert not kubelet.endpoints


def test_everything_is_taken_back_at_the_end(kubelet: FakeKubelet, manager: Manager, node: LabelledNode) -> None:
    manager.step()
    until(lambda: kubelet.registered.keys() == {GPU, SMALL})
    manager.stop()
    assert node.value is None
    until(lambda: not list(kubelet.folder.glob("archlab-*.sock")))
