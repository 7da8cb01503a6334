"""A real Postgres server for tests, where its programs are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gated_registry import wait_for
from ports_for_tests import free_port

_PACKAGED = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
INITDB = shutil.which("initdb") or (str(_PACKAGED[-1] / "initdb") if _PACKAGED else "")
WITHOUT = "there are no Postgres programs here"
DATABASE = "registry"


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """A server on a port of its own, with an empty database; its SQLAlchemy URI.

    Postgres refuses to be root: where the tests are, it is the user that its package has made.
    """
    user = "postgres" if os.geteuid() == 0 else None
    data = folder / "data"
    data.mkdir()
    if user:
        shutil.chown(data, user)
    programs = Path(INITDB).resolve().parent
    subprocess.run(
        [INITDB, "--pgdata", data, "--username", "archlab", "--auth", "trust", "--no-sync"],
        user=user,
        cwd="/",
        stdout=subprocess.DEVNULL,
        check=True,
    )
    port = free_port()
    options = ["-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    options += ["-c", "fsync=off"]
    server = subprocess.Popen([str(programs / "postgres"), *options], user=user, cwd="/", stderr=subprocess.DEVNULL)
    try:
        there = ["--host", "127.0.0.1", "--port", str(port), "--username", "archlab"]
        wait_for(
            lambda: subprocess.run([programs / "pg_isready", "-q", *there], check=False).returncode == 0, "Postgres"
        )
        subprocess.run([programs / "createdb", *there, DATABASE], check=True)
        yield f"postgresql+pg8000://archlab@127.0.0.1:{port}/{DATABASE}"
    finally:
        server.terminate()
        server.wait(60)


def asked(uri: str, sql: str) -> str:
    """What the database answers, without any of what was used to write it."""
    command = [str(Path(INITDB).resolve().parent / "psql"), "-At", "-d", uri.replace("+pg8000", ""), "-c", sql]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
