from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, linear_model, wait_for, write_json

from archlab_serving.devices import CPU, CUDA, Devices, parse, providers, settle
from archlab_serving.errors import RefusedReleaseError
from archlab_serving.runtime import OnnxModel

MIB = 1 << 20
INFER = "/v2/models/delay/infer"
ONES = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 5], "data": [1.0] * 5}]}


def document(basis: str = "emulated", models: dict[str, int] | None = None, **device: Any) -> dict[str, Any]:
    """A devices file with one L4, and models with the bytes that each may take."""
    given = {"delay": MIB} if models is None else models
    entry = {
        "name": "l4-0",
        "uuid": f"{basis}-l4-0",
        "product": "NVIDIA L4",
        "basis": basis,
        "index": 0,
        "memory_bytes": 24 * MIB,
        "reserved_bytes": sum(given.values()),
        **device,
    }
    placed = {model: {"device": "l4-0", "memory_bytes": size} for model, size in given.items()}
    return {"format": "archlab/serving-devices/v1", "devices": [entry], "models": placed}


def devices(tmp_path: Path, *args: Any, **changes: Any) -> Devices:
    path = tmp_path / "devices.json"
    write_json(path, document(*args, **changes))
    made = Devices(path)
    made.read()
    return made


def test_a_server_without_the_variable_has_no_devices() -> None:
    none = Devices(None)
    assert not none.changed()
    none.read()
    assert none.lease("delay", "1", 10**12) is None
    assert none.holders() == []


def test_memory_is_held_as_long_as_the_version_is_loaded(tmp_path: Path) -> None:
    found = devices(tmp_path)
    first = found.lease("delay", "1", MIB - 100)
    assert first is not None
    with pytest.raises(RefusedReleaseError) as refused:
        found.lease("delay", "2", 101)
    assert refused.value.reason == "device_memory"
    assert refused.value.message == (
        "delay:2 needs 101 bytes of emulated device l4-0; of the 1048576 reserved for the model there, 100 are left"
    )
    beside = found.lease("delay", "2", 100)
    assert beside is not None
    assert [(h.version, h.bytes) for h in found.holders()] == [("1", MIB - 100), ("2", 100)]
    del first
    gc.collect()
    assert [h.version for h in found.holders()] == ["2"]
    assert found.lease("delay", "3", MIB - 100) is not None


def test_a_device_is_never_taken_beyond_its_size(tmp_path: Path) -> None:
    found = devices(tmp_path, models={"delay": 20 * MIB, "other": 20 * MIB}, reserved_bytes=40 * MIB)
    held = found.lease("delay", "1", 20 * MIB)
    with pytest.raises(RefusedReleaseError, match="4194304 are left"):
        found.lease("other", "1", 5 * MIB)
    assert held is not None
    elsewhere = devices(tmp_path, models={"delay": 20 * MIB}, reserved_bytes=34 * MIB)
    with pytest.raises(RefusedReleaseError, match="10485760 are left"):
        elsewhere.lease("delay", "1", 11 * MIB)


def test_a_model_that_is_on_no_device_needs_no_memory_there(tmp_path: Path) -> None:
    assert devices(tmp_path).lease("another", "1", 10**12) is None


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        orjson.dumps({**document(), "format": "archlab/serving-devices/v2"}),
        orjson.dumps(document(basis="imagined")),
        orjson.dumps({**document(), "models": {"delay": {"device": "l4-9", "memory_bytes": 1}}}),
        orjson.dumps(document(memory_bytes=-1)),
        orjson.dumps(document(memory_bytes="much")),
    ],
)
def test_a_file_that_can_not_be_read_leaves_the_last_one_in_force(tmp_path: Path, content: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        parse(content)
    found = devices(tmp_path)
    path = tmp_path / "devices.json"
    path.write_bytes(content)
    assert found.changed()
    found.read()
    assert not found.changed()
    assert found.placements.of("delay") is not None
    path.unlink()
    found.read()
    assert found.placements.of("delay") is None


def test_cuda_is_used_when_it_is_offered_and_the_device_is_there(tmp_path: Path) -> None:
    offered = ("TensorrtExecutionProvider", CUDA, CPU)
    real = devices(tmp_path, "real", index=3).lease("delay", "1", 1000)
    options = {"device_id": "3", "gpu_mem_limit": str(MIB), "arena_extend_strategy": "kSameAsRequested"}
    assert providers(real, offered) == [(CUDA, options), CPU]
    assert providers(real, (CPU,)) == [CPU]
    emulated = devices(tmp_path).lease("delay", "1", 1000)
    assert providers(emulated, offered) == [CPU]
    assert providers(None, offered) == [CPU]


def test_a_session_says_what_really_computes_it(tmp_path: Path) -> None:
    lease = devices(tmp_path, "real").lease("delay", "1", 1000)
    model = OnnxModel(linear_model([1.0] * 5), 5, threads=1, inline_ms=1, lease=lease)
    assert model.predict(np.ones((1, 5), dtype=np.float32))[0, 0] == 5
    assert lease is not None
    about = lease.describe()
    assert (about["name"], about["basis"], about["memory_bytes"]) == ("l4-0", "real", 1000)
    assert about["provider"] in (CPU, CUDA)
    assert (about["provider"] == CUDA) == ("nodes" in about)


# a running server


@pytest.fixture
def file(lab: Lab) -> Path:
    path = lab.root / "conf" / "devices.json"
    write_json(path, document())
    return path


@pytest.fixture
def server(lab: Lab, launch: Launcher, file: Path) -> RunningServer:
    lab.publish(lab.onnx("1", bias=1))
    return launch.start(extra={"ARCHLAB_SERVING_DEVICES": str(file)})


def device_line(version: str) -> str:
    return f'archlab_model_device{{basis="emulated",device="l4-0",model="delay",provider="{CPU}",version="{version}"}}'


def test_a_model_is_on_its_device_and_says_so(server: RunningServer) -> None:
    assert server.client.post(INFER, json=ONES).status_code == 200
    assert server.metric(device_line("1")) == 1
    parameters = server.client.get("/v2/models/delay").json()["parameters"]
    assert parameters["device"]["name"] == "l4-0"
    assert parameters["device"]["basis"] == "emulated"
    assert parameters["device"]["provider"] == CPU


def test_a_version_that_is_too_large_for_its_device_is_refused_and_the_last_good_one_stays(
    server: RunningServer, lab: Lab
) -> None:
    large = linear_model([1.0] * 300_000)
    columns = [{"name": f"c{number}", "source": "request"} for number in range(300_000)]
    sequence = lab.publish(lab.release(large, version="2", columns=columns))
    wait_for(lambda: server.metric("archlab_release_feed_sequence") == sequence, "the feed")
    assert server.metric('archlab_release_refused_total{model="delay",reason="device_memory"}') == 1
    reply = server.client.post(INFER, json=ONES)
    assert (reply.status_code, reply.json()["model_version"]) == (200, "1")
    assert "needs" in server.log.read_text()


def test_a_model_moves_while_it_serves(server: RunningServer, file: Path) -> None:
    write_json(file, document(models={}))
    wait_for(lambda: server.metric(device_line("1")) == 0, "the model to leave the device")
    assert "device" not in server.client.get("/v2/models/delay").json()["parameters"]
    assert server.client.post(INFER, json=ONES).status_code == 200
    write_json(file, document())
    wait_for(lambda: server.metric(device_line("1")) == 1, "the model to come back")
    assert server.client.post(INFER, json=ONES).status_code == 200


def test_others_coming_to_the_device_reload_nothing(server: RunningServer, file: Path) -> None:
    loads = 'archlab_model_loads_total{outcome="loaded"}'
    before = server.metric(loads)
    write_json(file, document(reserved_bytes=9 * MIB))
    used = 'DCGM_FI_DEV_FB_USED{GPU_I_PROFILE="",UUID="emulated-l4-0",basis="emulated",device="l4-0",gpu="l4-0",'
    wait_for(lambda: server.metric(used + 'modelName="NVIDIA L4"}') == 9, "the file to be read")
    assert server.metric(loads) == before == 1
    assert server.metric(device_line("1")) == 1


def test_cuda_counts_cards_as_nvml_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from archlab_serving.devices import order_by_bus

    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    order_by_bus()
    assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_falling_back_to_the_cpu_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lease = devices(tmp_path, "real").lease("delay", "1", 1000)
    assert lease is not None
    wanted = providers(lease, (CUDA, CPU))
    settle(lease, wanted, CUDA)
    assert (lease.provider, caplog.messages) == (CUDA, [])
    settle(lease, wanted, CPU)
    assert lease.provider == CPU
    assert "NVIDIA L4 (real-l4-0) is there, but CUDA can't be used" in caplog.messages[0]
    assert providers(lease, (CPU,)) == [CPU]
    assert "this ONNX Runtime has no CUDAExecutionProvider" in caplog.messages[1]
