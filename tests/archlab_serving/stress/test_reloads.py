"""Two hundred new versions under constant load: no failed request, no mixed answer, flat memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, linear_model

from keep_asking import ROWS, ZEROS, asking
from onnx_models import chain, weighty

RELOADS, SETTLED = 200, 50
GROWTH_BYTES = 12 << 20
COLUMNS = [{"name": name, "source": "request"} for name in "abcde"]


def reload(server: RunningServer, lab: Lab, version: int, data: bytes) -> None:
    """A new champion, and a request that sees it."""
    sequence = lab.publish(lab.release(data, version=str(version), columns=COLUMNS, keys=[]))
    reply = server.client.post("/v2/models/delay/infer", json=ZEROS, headers={"x-archlab-min-feed": str(sequence)})
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert (answer["model_version"], answer["outputs"][0]["data"]) == (str(version), [float(version)] * ROWS)


def batched(server: RunningServer, version: int) -> float:
    """How many of the version's rows were computed together with another request's."""
    label = f'model="delay",version="{version}"'
    return server.metric(f"archlab_batch_rows_sum{{{label}}}") - ROWS * server.metric(
        f"archlab_batch_rows_count{{{label}}}"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "gains"),
    [
        pytest.param(lambda version: linear_model([1.0] * 5, version), False, id="short"),
        pytest.param(lambda version: chain(400, version), True, id="batched"),
    ],
)
def test_two_hundred_reloads_under_load(lab: Lab, launch: Launcher, make: Callable[[int], bytes], gains: bool) -> None:
    lab.publish(lab.release(make(0), version="0", columns=COLUMNS, keys=[]))
    address = f"unix:{lab.root}/grpc.sock"
    server = launch.start(extra={"ARCHLAB_SERVING_GRPC": address})
    assert server.socket is not None
    settled, together = 0, 0.0
    with asking("delay", server.socket, address=address, rest=4, grpc=2) as seen:
        for version in range(1, RELOADS + 1):
            reload(server, lab, version, make(version))
            if version == SETTLED:
                settled = server.rss_bytes()
        together = sum(batched(server, version) for version in range(RELOADS - 20, RELOADS))
    assert set(seen.answers) == {"REST", "gRPC"}
    assert min(seen.answers.values()) >= RELOADS
    assert server.rss_bytes() - settled < GROWTH_BYTES
    assert server.metric("archlab_models_resident") == 1
    assert server.metric('archlab_model_loads_total{outcome="loaded"}') == RELOADS + 1
    assert (together > 0) == gains


@pytest.mark.slow
def test_reloads_of_lazily_loaded_models_that_evict_each_other(lab: Lab, launch: Launcher) -> None:
    """The model under load is never cold: only its neighbours make room for one another."""
    extra = {"ARCHLAB_SERVING_LOADING": "lazy", "ARCHLAB_SERVING_MEMORY_LIMIT_BYTES": str(4 << 20)}
    others = [lab.release(weighty(1.5, n), model=f"other{n}", columns=COLUMNS, keys=[]) for n in range(3)]
    lab.publish(lab.onnx("0", columns=COLUMNS, keys=[]), *others)
    server = launch.start(extra=extra)
    assert server.socket is not None
    with asking("delay", server.socket, rest=2) as seen:
        for version in range(1, 51):
            data = linear_model([1.0] * 5, version)
            sequence = lab.publish(lab.release(data, version=str(version), columns=COLUMNS, keys=[]), *others)
            for other in range(3):
                path, headers = f"/v2/models/other{other}/infer", {"x-archlab-min-feed": str(sequence)}
                reply = server.client.post(path, json=ZEROS, headers=headers)
                assert reply.status_code == 200, reply.text
                assert reply.json()["outputs"][0]["data"] == [float(other)] * ROWS
    assert set(seen.answers) == {"REST"}
    assert server.metric("archlab_model_evictions_total") >= 100
    assert server.metric("archlab_cold_start_seconds_count") >= 100
