from __future__ import annotations

import orjson
from tests.archlab_serving.conftest import linear_model

from archlab_serving.device_profile import count, node_providers, one_row


def test_every_node_is_measured_where_it_runs() -> None:
    found = node_providers(linear_model([1.0, 2.0]), ["CPUExecutionProvider"], {"features": one_row(2)})
    assert set(found) == {"CPUExecutionProvider"}
    assert found["CPUExecutionProvider"] in (1, 2), "MatMul and Add, fused or not"


def test_a_node_counts_once_however_often_it_ran() -> None:
    def event(name: str, provider: str, cat: str = "Node") -> dict[str, object]:
        return {"cat": cat, "name": f"{name}_kernel_time", "args": {"provider": provider}}

    events = [
        event("scale", "CPUExecutionProvider"),
        event("product", "CUDAExecutionProvider"),
        event("product", "CUDAExecutionProvider"),
        event("relu", "CUDAExecutionProvider"),
        event("model_run", "CPUExecutionProvider", cat="Session"),
        {"cat": "Node", "name": "fence_before"},
    ]
    assert count(orjson.dumps(events)) == {"CPUExecutionProvider": 1, "CUDAExecutionProvider": 2}
