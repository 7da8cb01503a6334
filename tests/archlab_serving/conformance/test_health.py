"""Specification: HTTP/REST, Health: server live, server ready, model ready."""

from __future__ import annotations

import pytest
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer


class TestServerLive:
    """`GET v2/health/live`: 200 says that the server receives and answers requests."""

    def test_a_running_server_is_live(self, server: RunningServer) -> None:
        answer = server.client.get("/v2/health/live")
        assert (answer.status_code, answer.json()) == (200, {"live": True})

    def test_without_any_model_it_is_live_and_not_ready(self, lab: Lab, launch: Launcher) -> None:
        launched = launch.start(wait=False, port=True)
        assert launched.client.get("/v2/health/live").status_code == 200
        answer = launched.client.get("/v2/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"ready": False})


class TestServerReady:
    """`GET v2/health/ready`: 200 says that its models answer."""

    def test_a_server_that_serves_is_ready(self, server: RunningServer) -> None:
        answer = server.client.get("/v2/health/ready")
        assert (answer.status_code, answer.json()) == (200, {"ready": True})


class TestModelReady:
    """`GET v2/models/${MODEL_NAME}[/versions/${MODEL_VERSION}]/ready`."""

    @pytest.mark.parametrize("version", ["", "/versions/1", "/versions/2"])
    def test_a_loaded_version_is_ready(self, server: RunningServer, version: str) -> None:
        answer = server.client.get(f"/v2/models/delay{version}/ready")
        expected = {"name": "delay", "version": version[-1:] or "1", "ready": True}
        assert (answer.status_code, answer.json()) == (200, expected)

    @pytest.mark.parametrize("path", ["gate", "delay/versions/9"])
    def test_an_unknown_one_is_not(self, server: RunningServer, path: str) -> None:
        answer = server.client.get(f"/v2/models/{path}/ready")
        assert (answer.status_code, list(answer.json())) == (404, ["error"])
