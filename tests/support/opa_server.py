"""A real OPA server for tests, where the program is."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from ports_for_tests import free_port

OPA = shutil.which("opa")
WITHOUT = "there is no opa program on PATH"


@contextmanager
def opa_server() -> Iterator[str]:
    """A server on a port of its own; its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running_opa(port):
        yield url


@contextmanager
def running_opa(port: int) -> Iterator[None]:
    """A server on this port, answering."""
    command = [str(OPA), "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_healthy(f"http://127.0.0.1:{port}/health")
        yield
    finally:
        server.terminate()
        server.wait(60)


def _wait_healthy(url: str) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            assert time.monotonic() < deadline
            threading.Event().wait(0.02)
