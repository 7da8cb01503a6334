"""Where gRPC listens, from start to stop."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import grpc
from tests.archlab_serving.conftest import Lab, Launcher, wait_for
from tests.archlab_serving.rpc.conftest import (
    Calls,
    Stub,
    outcome,
    publish,
    row,
    slow,
)


def socket_of(calls: Calls) -> Path:
    return Path(calls.address.removeprefix("unix:"))


def test_a_server_that_stops_answers_what_it_took(own_calls: Calls) -> None:
    calls = own_calls
    calls.infer(slow(1))
    started = time.monotonic()
    calls.infer(slow(500))
    running = calls.stub.ModelInfer.future(slow(int(500 / (time.monotonic() - started)) + 1), timeout=60)
    wait_for(lambda: calls.in_flight() == 1, "the call")
    assert socket_of(calls).is_socket()
    calls.server.stop()
    assert running.result().model_name == "slow"
    assert not socket_of(calls).exists()
    assert outcome(lambda: calls.infer(row(), timeout=60))[0] == "UNAVAILABLE"
    assert "Traceback" not in calls.server.log.read_text()


def test_the_socket_of_a_killed_server_is_replaced(own_calls: Calls, launch: Launcher) -> None:
    own_calls.server.process.kill()
    own_calls.server.process.wait()
    assert socket_of(own_calls).exists()
    launch.start(extra={"ARCHLAB_SERVING_GRPC": own_calls.address})
    with grpc.insecure_channel(own_calls.address) as channel:
        stub = Stub(channel)
        assert stub.ModelInfer(row(), timeout=30).model_version == "1"


def test_only_sockets_are_replaced(lab: Lab, launch: Launcher) -> None:
    precious = lab.root / "notes.txt"
    precious.write_text("mine")
    server = launch.start(wait=False, extra={"ARCHLAB_SERVING_GRPC": f"unix:{precious}"})
    assert server.process.wait(60) != 0
    assert "gRPC can't listen on" in server.log.read_text()
    assert precious.read_text() == "mine"


def test_a_taken_port_ends_the_start(lab: Lab, launch: Launcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = launch.start(wait=False, extra={"ARCHLAB_SERVING_GRPC": address})
        assert server.process.wait(60) != 0
    assert f"gRPC can't listen on '{address}'" in server.log.read_text()


def test_no_address_no_grpc(lab: Lab, launch: Launcher) -> None:
    publish(lab)
    server = launch.start()
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "onnxruntime" in maps
    assert "cygrpc" not in maps
