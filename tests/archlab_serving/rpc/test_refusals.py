"""What is refused over gRPC, and what a refusal leaves: errors, limits, deadlines, broken peers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
import pytest
from open_inference.grpc import protocol as pb
from tests.archlab_serving.conftest import wait_for
from tests.archlab_serving.rpc.conftest import (
    LIMIT,
    PLACES,
    PREFIX,
    Calls,
    outcome,
    refused,
    row,
    slow,
)


def test_errors_have_rests_messages_and_counts(calls: Calls) -> None:
    message = row()
    message.inputs[0].shape[:] = [5, 1]
    bad = {"name": "features", "datatype": "FP32", "shape": [5, 1], "data": [0, 1, 2, 3, 4]}
    before = calls.count("delay", 400)
    over_rest = calls.server.client.post("/v2/models/delay/infer", json={"inputs": [bad]})
    error = refused(lambda: calls.infer(message))
    assert (error.code().name, error.details()) == ("INVALID_ARGUMENT", over_rest.json()["error"])
    assert "retry-after" not in dict(error.trailing_metadata())
    assert calls.count("delay", 400) == before + 2


@pytest.mark.parametrize("letter", ["x", "ü", "机", "😀"])
def test_long_errors_fit_in_their_header(calls: Calls, letter: str) -> None:
    code, text = outcome(lambda: calls.infer(row(model=letter * 20_000)))
    assert code == "NOT_FOUND"
    assert text.startswith("model '" + letter * 100)
    assert text.endswith("…")


def test_what_is_no_message_is_refused_and_counted(calls: Calls) -> None:
    before = calls.count("-", 400, "-")
    call: Any = calls.channel.unary_unary(f"{PREFIX}ModelInfer")
    code, text = outcome(lambda: call(b"\xff\xff", timeout=30))
    assert (code, "is no inference.ModelInferRequest" in text) == ("INVALID_ARGUMENT", True)
    assert calls.count("-", 400, "-") == before + 1
    calls.idle()


def test_unknown_methods_are_unimplemented(calls: Calls) -> None:
    for path in (f"{PREFIX}ModelStreamInfer", "/other.Service/Method"):
        call: Any = calls.channel.unary_unary(path)
        assert outcome(partial(call, b"", timeout=30))[0] == "UNIMPLEMENTED"


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_messages_have_a_limit_however_they_are_packed(calls: Calls, compression: grpc.Compression) -> None:
    def ask(size: int) -> object:
        message = pb.ModelInferRequest(model_name="delay")
        message.inputs.add(name="features", datatype="FP32", shape=[size // 20, 5])
        message.raw_input_contents.append(bytes(size // 20 * 20))
        return calls.infer(message, compression=compression)

    assert ask(LIMIT // 20)
    assert outcome(lambda: ask(LIMIT + 1))[0] == "RESOURCE_EXHAUSTED"
    assert outcome(lambda: ask(64 * LIMIT))[0] == "RESOURCE_EXHAUSTED"
    assert calls.infer(row())
    calls.idle()


def test_a_deadline_that_can_not_be_kept_ends_the_wait(calls: Calls, rounds: int) -> None:
    running = calls.stub.ModelInfer.future(slow(2 * rounds), timeout=60)
    wait_for(lambda: calls.in_flight() == 1, "the first call")
    for options in ({"timeout": 0.2}, {"metadata": (("x-envoy-expected-rq-timeout-ms", "200"),)}):
        error = refused(partial(calls.stub.ModelInfer, slow(1), **options))
        assert error.code().name in {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
        assert not running.done(), "it did not wait for the first call"
    assert running.result()
    calls.idle()


def test_a_parameter_sets_a_deadline_too(calls: Calls, rounds: int) -> None:
    running = calls.stub.ModelInfer.future(slow(rounds), timeout=60)
    wait_for(lambda: calls.in_flight() == 1, "the first call")
    message = slow(1)
    message.parameters["timeout"].int64_param = 100_000
    error = refused(partial(calls.stub.ModelInfer, message, timeout=60))
    assert error.code().name in {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
    assert running.result()
    message.parameters["timeout"].string_param = "soon"
    assert "whole microseconds" in refused(partial(calls.infer, message)).details()
    calls.idle()


def test_what_nobody_waits_for_any_more_is_not_computed(calls: Calls, rounds: int) -> None:
    before = calls.count("slow", 499)
    running = calls.stub.ModelInfer.future(slow(rounds), timeout=60)
    wait_for(lambda: calls.in_flight() == 1, "the first call")
    waiting = [calls.stub.ModelInfer.future(slow(20 * rounds), timeout=60) for _ in range(3)]
    wait_for(lambda: calls.in_flight() == 4, "the calls in the queue")
    for call in waiting:
        call.cancel()
    assert running.result()
    calls.idle()
    assert calls.count("slow", 499) == before + 3
    assert calls.infer(row())


def test_a_call_cancelled_while_it_is_computed_gives_its_place_back(calls: Calls, rounds: int) -> None:
    running = calls.stub.ModelInfer.future(slow(rounds), timeout=60)
    wait_for(lambda: calls.in_flight() == 1, "the call")
    running.cancel()
    assert calls.infer(row())
    calls.idle()


def test_a_full_server_refuses_and_says_when_to_come_back(calls: Calls, rounds: int) -> None:
    """Requests over HTTP, which take their places with the first byte, fill them; those over gRPC do with the last."""
    before = calls.count("-", 503, "-")
    finish = threading.Event()

    def trickle() -> Iterator[bytes]:
        yield b"{"
        finish.wait()

    def post() -> None:
        calls.server.client.post("/v2/models/delay/infer", content=trickle())

    threads = [threading.Thread(target=post) for _ in range(PLACES)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: calls.in_flight() == PLACES, "all places")
        error = refused(lambda: calls.infer(row()))
        assert (error.code().name, error.details()) == (
            "UNAVAILABLE",
            f"{PLACES} requests are being answered already; try again",
        )
        assert int(dict(error.trailing_metadata())["retry-after"]) >= 1
        assert calls.stub.ServerLive(pb.ServerLiveRequest()).live
    finally:
        finish.set()
        for thread in threads:
            thread.join()
    assert calls.count("-", 503, "-") == before + 1
    assert calls.infer(row())
    calls.idle()


def test_broken_peers_hurt_nobody(calls: Calls) -> None:
    """Silence, noise, and connections that end in the middle."""
    path = calls.address.removeprefix("unix:")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = bytes.fromhex("000000040000000000")
    half_a_frame = bytes.fromhex("00ffff0000000000017f")
    peers = []
    for opening in (b"", b"GET / HTTP/1.1\r\n\r\n", preface[:10], preface, preface + settings + half_a_frame):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(path)
        peer.sendall(opening)
        peer.shutdown(socket.SHUT_WR)
        peers.append(peer)
    assert [calls.infer(row()).model_name for _ in range(20)] == ["delay"] * 20
    for peer in peers:
        peer.close()
    assert calls.infer(row())
    calls.idle()
