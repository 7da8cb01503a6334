"""A real Redis server for tests, where the program is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from redis import ConnectionError as NoConnection
from redis import Redis

from gated_registry import wait_for
from ports_for_tests import free_port

REDIS = shutil.which("redis-server")
WITHOUT = "there is no redis-server on PATH"
PASSWORD = "one=two/three four"
ESCAPED = "one%3Dtwo%2Fthree%20four"


@contextmanager
def redis_server() -> Iterator[str]:
    """A server on a port of its own that asks for a password and stores nothing on disk; its URL."""
    port = free_port()
    command = [str(REDIS), "--port", str(port), "--bind", "127.0.0.1", "--requirepass", PASSWORD, "--save", ""]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"redis://:{ESCAPED}@127.0.0.1:{port}/2"
    try:
        wait_for(lambda: _answers(url), "Redis")
        yield url
    finally:
        server.terminate()
        server.wait(60)


def _answers(url: str) -> bool:
    try:
        return bool(Redis.from_url(url).ping())
    except NoConnection:
        return False
