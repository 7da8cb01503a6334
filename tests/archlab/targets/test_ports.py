from __future__ import annotations

import socket

import psutil
import pytest

from archlab.errors import ConflictError
from archlab.targets import ports


def test_a_free_port_is_found_beyond_taken_ones() -> None:
    with socket.socket() as taken:
        taken.bind((ports.ADDRESS, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not ports.is_free(port)
        found = ports.free_port(port)
        assert port < found < port + ports.ATTEMPTS
        holder = ports.holder(port)
        assert holder is not None
        assert f"pid {psutil.Process().pid}" in holder
        assert ports.taken(port).message == f"Port {port} is held by {holder}."
        assert ports.listens(psutil.Process().pid, port)
    assert ports.holder(port) is None
    assert ports.free_port(port) == port
    assert ports.free_port(port, {port}) != port


def test_no_port_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "ATTEMPTS", 1)
    with socket.socket() as taken:
        taken.bind((ports.ADDRESS, 0))
        taken.listen()
        with pytest.raises(ConflictError, match="is free"):
            ports.free_port(taken.getsockname()[1])
