"""A large model that is loaded again and again doesn't hold up another one's requests."""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytest
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, linear_model, wait_for

from keep_asking import ZEROS, asking, percentile
from onnx_models import weighty

COLUMNS: dict[str, Any] = {"columns": [{"name": name, "source": "request"} for name in "abcde"], "keys": []}
MEGABYTES, LOADS = 52, 8
_SCHEDULING_MS = 20.0
"""What a busy machine may take from anybody."""


def cold_ms(server: RunningServer, model: str) -> float:
    """How long a request waits for its model to be loaded."""
    started = time.perf_counter()
    reply = server.client.post(f"/v2/models/{model}/infer", json=ZEROS)
    assert reply.status_code == 200, reply.text
    return (time.perf_counter() - started) * 1000


@pytest.mark.slow
def test_a_large_model_that_is_loaded_repeatedly_keeps_nobody_waiting(lab: Lab, launch: Launcher) -> None:
    """Were other requests to wait for a load, at least one in ten would take as long as the load."""
    large = [lab.release(weighty(MEGABYTES, n), model=f"large{n}", **COLUMNS) for n in range(2)]
    lab.publish(lab.release(linear_model([1.0] * 5, 1.0), **COLUMNS), *large)
    limit = str(int(1.5 * MEGABYTES) << 20)
    server = launch.start(extra={"ARCHLAB_SERVING_LOADING": "lazy", "ARCHLAB_SERVING_MEMORY_LIMIT_BYTES": limit})
    assert server.socket is not None
    with asking("delay", server.socket, rest=2, pause_s=0.002) as seen:
        loads = [cold_ms(server, f"large{n % 2}") for n in range(LOADS)]
    assert set(seen.answers) == {"REST"}
    assert server.metric("archlab_model_evictions_total") >= LOADS - 1
    p95, load = percentile(seen.latencies_ms, 95), statistics.median(loads)
    print(f"{len(seen.latencies_ms)} requests, p50 {percentile(seen.latencies_ms, 50):.1f} ms, p95 {p95:.1f} ms,")
    print(f"max {max(seen.latencies_ms):.1f} ms; loads {load:.0f} ms in the median, {max(loads):.0f} ms at most")
    assert p95 < max(load / 2, _SCHEDULING_MS)
    assert len(seen.latencies_ms) > 2 * LOADS


@pytest.mark.slow
def test_memory_comes_back_when_large_models_go(lab: Lab, launch: Launcher) -> None:
    """New versions of 24 MB: two are in memory for a moment, one for long."""
    releases = [lab.release(weighty(24, n), version=str(n), **COLUMNS) for n in range(3)]
    lab.publish(releases[0])
    server = launch.start()
    first = server.rss_bytes()
    for number in range(1, 13):
        headers = {"x-archlab-min-feed": str(lab.publish(releases[number % 3]))}
        reply = server.client.post("/v2/models/delay/infer", json=ZEROS, headers=headers)
        assert reply.json()["model_version"] == str(number % 3)
    wait_for(lambda: server.rss_bytes() - first < 24 << 20, "the replaced versions' memory")
