"""Two real Postgres servers with a link between them; left out where there are no programs of Postgres."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from archlab.recovery import replication, server
from archlab.recovery.server import Server, Upstream
from gated_registry import wait_for
from ports_for_tests import free_port
from recovery_pair import EAST, WEST, Pair, programs_or_skip


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path: unix sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="archlab-recovery-", ignore_cleanup_errors=True) as made:
        yield Path(made)


# a killed process loses nothing that the system has taken from it; only a machine without power does
UNSYNCED = {"fsync": "off"}


def server_in(place: Path) -> Server:
    return Server(EAST, place / EAST, place / "run", free_port(), place / "password", programs_or_skip(), UNSYNCED)


@pytest.fixture(scope="session")
def original() -> Iterator[Server]:
    """A server that was made and stands still: initdb takes longer than most of the tests."""
    with tempfile.TemporaryDirectory(prefix="archlab-recovery-", ignore_cleanup_errors=True) as folder:
        made = server_in(Path(folder))
        server.create_password(made.password)
        server.create(made)
        server.configure(made)
        server.start(made)
        made.ask("CREATE TABLE written (number bigint PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())")
        server.stop(made)
        yield made


@pytest.fixture
def east(place: Path, original: Server) -> Iterator[Server]:
    """A copy of it that runs."""
    made = server_in(place)
    shutil.copy2(original.password, made.password)
    shutil.copytree(original.data, made.data)
    server.configure(made)
    server.start(made)
    try:
        yield made
    finally:
        server.fence(made, "the test is over")


@pytest.fixture
def pair(place: Path, east: Server) -> Iterator[Pair]:
    """East, and west that streams from it."""
    west = Server(WEST, place / WEST, place / "run", free_port(), east.password, east.programs, UNSYNCED)
    links = {
        WEST: Upstream(free_port(), replication.slot_name(WEST)),
        EAST: Upstream(free_port(), replication.slot_name(EAST)),
    }
    controls = {name: place / f"link-{name}.sock" for name in links}
    with contextlib.ExitStack() as running:
        for name, other in ((WEST, east), (EAST, west)):
            ports = [str(links[name].port), str(other.port), str(controls[name])]
            process = subprocess.Popen([sys.executable, "-m", "archlab.recovery.link", *ports])
            running.callback(process.wait)
            running.callback(process.kill)
        wait_for(lambda: all(control.exists() for control in controls.values()), "the links")
        replication.ensure_slot(east, WEST)
        replication.clone(west, links[WEST])
        server.configure(west, upstream=links[WEST])
        server.start(west)
        replication.wait_streaming(east, [WEST])
        running.callback(server.fence, west, "the test is over")
        yield Pair(east, west, links, controls)
