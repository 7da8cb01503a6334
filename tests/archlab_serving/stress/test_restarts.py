"""Killed at any moment, a server starts again on the same socket and serves what the feed names."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, linear_model, wait_for

from keep_asking import ROWS, ZEROS
from onnx_models import weighty

COLUMNS: dict[str, Any] = {"columns": [{"name": name, "source": "request"} for name in "abcde"], "keys": []}


def kill(launch: Launcher, server: RunningServer) -> None:
    """SIGKILL; its socket stays behind."""
    server.process.kill()
    server.process.wait(60)
    server.client.close()
    launch.running.remove(server)
    assert server.socket is not None
    assert server.socket.exists()


def answer(server: RunningServer, model: str = "delay") -> tuple[str, list[float]]:
    reply = server.client.post(f"/v2/models/{model}/infer", json=ZEROS)
    assert reply.status_code == 200, reply.text
    return reply.json()["model_version"], reply.json()["outputs"][0]["data"]


@pytest.mark.slow
def test_a_killed_server_starts_again_where_the_feed_is(lab: Lab, launch: Launcher) -> None:
    """Killed while it answers, and while it loads; the log's lines before and after are whole."""
    large = lab.release(weighty(24, 3.0), model="large", version="3", **COLUMNS)
    for version in (1, 2):
        lab.publish(lab.release(linear_model([1.0] * 5, version), version=str(version), **COLUMNS), large)
        loading = launch.start(wait=False)
        wait_for(lambda: "running on" in loading.log.read_text(), "the server to begin")  # noqa: B023
        kill(launch, loading)
        server = launch.start()
        assert server.socket == loading.socket
        assert answer(server) == (str(version), [float(version)] * ROWS)
        assert answer(server, "large") == ("3", [3.0] * ROWS)
        wait_for(lambda: lab.prediction_log.exists() and b'"large"' in lab.prediction_log.read_bytes(), "the log")
        kill(launch, server)
        with lab.prediction_log.open("ab") as log:
            log.write(b'{"t":"cut off by the kill')
    server = launch.start()
    assert answer(server)[0] == "2"
    server.stop()
    *lines, last = lab.prediction_log.read_bytes().splitlines()
    whole = [orjson.loads(line[line.rindex(b'{"t":"20') :]) for line in lines if not line.endswith(b"kill")]
    assert {record["model"] for record in whole} == {"delay", "large"}
    assert orjson.loads(last[last.rindex(b'{"t":"20') :])["version"] == "2"
