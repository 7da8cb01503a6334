"""A link with a real echo behind it."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from archlab.errors import UnavailableError
from archlab.recovery.link import Order, tell
from archlab.recovery.shaping import Shape
from gated_registry import wait_for
from ports_for_tests import free_port


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(1 << 16):
            self.request.sendall(data)


@pytest.fixture
def link(place: Path) -> Iterator[tuple[int, Path]]:
    """A link's port and its control."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as echo:
        echo.daemon_threads = True
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        port, control = free_port(), place / "link.sock"
        command = [sys.executable, "-m", "archlab.recovery.link", str(port), str(echo.server_address[1]), str(control)]
        process = subprocess.Popen(command)
        wait_for(control.exists, "the link")
        wait_for(lambda: _answers(control), "the link")
        yield port, control
        process.kill()
        process.wait()
        echo.shutdown()


def _answers(control: Path) -> bool:
    try:
        tell(control)
    except UnavailableError:
        return False
    return True


def _ask(connected: socket.socket, data: bytes = b"x") -> float:
    """Seconds that an echo takes."""
    began = time.monotonic()
    connected.sendall(data)
    left = len(data)
    while left:
        got = connected.recv(1 << 16)
        assert got
        left -= len(got)
    return time.monotonic() - began


def _ended(connected: socket.socket) -> bool:
    try:
        return not connected.recv(1)
    except ConnectionError:
        return True


def test_it_delays_throttles_and_says_what_it_did(link: tuple[int, Path]) -> None:
    port, control = link
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connected:
        # on a busy machine any of them may take long; over a line with 50 ms each way none would take less
        assert min(_ask(connected) for _ in range(20)) < 0.09
        assert tell(control, Order(shape=Shape(latency_ms=50))).shape.latency_ms == 50
        assert _ask(connected) >= 0.1
        tell(control, Order(shape=Shape(bytes_per_s=1_000_000)))
        assert _ask(connected, b"x" * 200_000) >= 0.2
        said = tell(control)
        assert said.connections == 1
        assert said.forwarded_bytes == 2 * 200_021


def test_a_cut_is_silence_and_nothing_is_lost_when_it_heals(link: tuple[int, Path]) -> None:
    port, control = link
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connected:
        _ask(connected)
        tell(control, Order(shape=Shape(cut=True)))
        connected.sendall(b"held")
        connected.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connected.recv(4)
        wait_for(lambda: tell(control).queued_bytes == 4, "the bytes on their way")
        with socket.create_connection(("127.0.0.1", port), timeout=0.2) as late, pytest.raises(TimeoutError):
            _ask(late)
        connected.settimeout(60)
        tell(control, Order(shape=Shape()))
        assert connected.recv(4) == b"held"


def test_dropped_is_lost_and_the_connections_end(link: tuple[int, Path]) -> None:
    port, control = link
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connected:
        _ask(connected)
        tell(control, Order(shape=Shape(cut=True)))
        connected.sendall(b"lost")
        wait_for(lambda: tell(control).queued_bytes == 4, "the bytes on their way")
        said = tell(control, Order(shape=Shape(), drop=True))
        assert (said.connections, said.queued_bytes) == (0, 0)
        assert _ended(connected)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as again:
        _ask(again)


def test_an_order_that_makes_no_sense_changes_nothing(link: tuple[int, Path]) -> None:
    _, control = link
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(str(control))
        asked.sendall(b'{"shape": {"latency_ms": -1}}\n')
        assert b"latency_ms" in asked.recv(1 << 16)
    assert tell(control).shape == Shape()
