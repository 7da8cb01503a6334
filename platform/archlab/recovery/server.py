"""One Postgres server of one region: made, configured, started, asked, ended.

Configuration lies outside the data folder: base backups and pg_rewind copy the other server's otherwise. So does the
socket, which pg_rewind trips over.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from archlab.errors import ArchlabError, TargetError, UnavailableError
from archlab.files import write_atomic
from archlab.recovery import fencing, unprivileged
from archlab.recovery.asked import Answering, Asked
from archlab.recovery.programs import Programs

PROGRAM = "postgres"
USER = "archlab"
HOST = "127.0.0.1"
READY_S = 30.0
TAIL = 15
SEGMENTS = ("--wal-segsize", "1")
"""Megabytes. An archive gets whole segments, however little is in them."""
_PAUSE_S = 0.02

FIXED: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_permissions": "0700",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    # a standby that is cut off for long must not fill the primary's disk
    "max_slot_wal_keep_size": "1GB",
    "wal_keep_size": "64MB",
    "hot_standby": "on",
    # pg_rewind finds changed pages by it
    "wal_log_hints": "on",
    # a partition is noticed by silence: both sides give the connection up and the standby connects anew
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "200ms",
    "max_parallel_workers": "2",
    "log_line_prefix": "%m [%p] ",
}


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a standby gets its changes from: a port of this machine, as a rule a link's."""

    port: int
    slot: str


@dataclass(frozen=True, slots=True)
class Server(Answering):
    """Where a server is and what it is called."""

    name: str
    """The region's; standbys report under it."""
    folder: Path
    sockets: Path
    """Short folder of the unix socket; private."""
    port: int
    password: Path
    """File in PGPASSFILE's format, shared by all regions; see `create_password`."""
    programs: Programs
    settings: Mapping[str, str] = field(default_factory=dict)
    """More than `FIXED`, or instead of it, whatever it does: how it archives."""
    network: str = f"{HOST}/32"
    """Who may connect over TCP, with the password: addresses as pg_hba.conf has them."""

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.folder / "data"

    @property
    def config(self) -> Path:
        """postgresql.conf."""
        return self.folder / "postgresql.conf"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def _socket(self) -> Path:
        return self.sockets / f".s.PGSQL.{self.port}"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None when it does not run."""
        try:
            found = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(found)
            # a kill leaves the file behind, and the system gives the number to others
            runs = process.name() == PROGRAM and process.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return None
        return found if runs else None

    def ask(self, sql: str, *, timeout_s: float = 10.0, **values: Any) -> list[list[Any]]:
        """Rows that a statement gives, by a connection of its own.

        Raises:
            UnavailableError: the server does not answer, or refuses the statement.
        """
        with self.connection(timeout_s) as connection:
            return [list(row) for row in connection.run(sql, **values) or ()]

    @contextmanager
    def connection(self, timeout_s: float = 10.0) -> Iterator[Any]:
        """A connection over the unix socket (`pg8000.native`), closed at the end.

        Raises:
            UnavailableError: the server does not answer, or refuses something.
        """
        from pg8000.exceptions import DatabaseError, InterfaceError
        from pg8000.native import Connection

        with socket.socket(socket.AF_UNIX) as plug:
            plug.settimeout(timeout_s)
            try:
                plug.connect(str(self._socket))
                made = Connection(USER, database="postgres", sock=plug, ssl_context=False)
                yield made
                made.close()
            except (DatabaseError, InterfaceError, OSError) as error:
                raise UnavailableError(f"Postgres of {self.name}: {_said(error)}.", f"See: {self.log}") from None

    def last_words(self) -> tuple[str, ...]:
        """The end of its log, newest last; empty when there is none."""
        try:
            return tuple(self.log.read_text(errors="replace").splitlines()[-TAIL:])
        except OSError:
            return ()


def create_password(path: Path) -> None:
    """A random password for all servers of a lab; an existing one stays."""
    if not path.exists():
        write_atomic(path, f"*:*:*:{USER}:{secrets.token_urlsafe(24)}\n")


@contextmanager
def replacing(data: Path) -> Iterator[Path]:
    """Where new data is put together; it takes the old one's place when it is whole: half of it never starts."""
    part = data.with_name(f".{data.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield part
        part.chmod(0o700)
        shutil.rmtree(data, ignore_errors=True)
        part.rename(data)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def create(server: Server) -> None:
    """An empty cluster with checksums; an existing one stays.

    Raises:
        TargetError: initdb fails; carries what it said.
    """
    if (server.data / "PG_VERSION").exists():
        return
    server.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = server.folder / ".initdb-password"
    write_atomic(secret, server.password.read_text().strip().rpartition(":")[2] + "\n")
    try:
        options = ["--username", USER, "--pwfile", str(secret), "--auth-local", "trust", "--auth-host", "scram-sha-256"]
        with replacing(server.data) as part:
            places = ["--pgdata", str(part), "--encoding", "UTF8", "--locale", "C"]
            run(server, "initdb", [*places, *options, "--data-checksums", *SEGMENTS, "--no-sync"])
    finally:
        secret.unlink(missing_ok=True)


def configure(
    server: Server,
    *,
    upstream: Upstream | None = None,
    synchronous: Sequence[str] = (),
    further: Mapping[str, str] | None = None,
) -> None:
    """Write the configuration; a server that runs takes it over with `reload`.

    Args:
        server: whose.
        upstream: where it follows another server; None lets it stand alone.
        synchronous: standbys of which any one must have a commit on disk before it counts.
        further: more settings, for a restore.
    """
    server.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {
        **FIXED,
        "port": str(server.port),
        "unix_socket_directories": str(server.sockets),
        "hba_file": str(server.folder / "pg_hba.conf"),
        "cluster_name": server.name,
        "synchronous_standby_names": f"ANY 1 ({', '.join(_name(n) for n in synchronous)})" if synchronous else "",
        "primary_conninfo": conninfo(server, upstream.port) if upstream else "",
        "primary_slot_name": upstream.slot if upstream else "",
        **server.settings,
        **(further or {}),
    }
    write_atomic(server.config, "".join(f"{name} = {_quoted(value)}\n" for name, value in wanted.items()))
    hosts = "".join(f"host {what} {USER} {server.network} scram-sha-256\n" for what in ("all", "replication"))
    write_atomic(server.folder / "pg_hba.conf", f"local all,replication {USER} trust\n{hosts}")


def conninfo(server: Server, port: int) -> str:
    """libpq's words for a connection from this server to a port of this machine."""
    return (
        f"host={HOST} port={port} user={USER} passfile='{server.password}' application_name={server.name}"
        " connect_timeout=5 dbname=postgres"
    )


def start(server: Server, env: Mapping[str, str] | None = None) -> None:
    """Start it and return when it takes connections; harmless when it runs.

    Raises:
        ConflictError: it is fenced.
        TargetError: it does not come up; carries its last log lines.
    """
    fencing.refuse_if_fenced(server.folder)
    if server.pid is None:
        _launch(server, env)
    deadline = time.monotonic() + READY_S
    while not server.accepting:
        if server.pid is None and not _starting(server):
            raise failure(server, "does not start")
        if time.monotonic() > deadline:
            raise failure(server, f"takes no connection after {READY_S:g} s")
        time.sleep(_PAUSE_S)


def wait_accepting(server: Server, patience_s: float = READY_S) -> None:
    """Return when it takes connections; somebody else starts it, and after a kill it goes through its log first.

    Raises:
        TargetError: not in time; carries its last log lines.
    """
    deadline = time.monotonic() + patience_s
    while not server.accepting:
        if time.monotonic() > deadline:
            raise failure(server, f"takes no connection after {patience_s:g} s")
        time.sleep(_PAUSE_S)


def reload(server: Asked) -> None:
    """Take a changed configuration over."""
    server.ask("SELECT pg_reload_conf()")


def stop(server: Server) -> None:
    """End it in order: what is committed is sent to standbys first. Harmless when it does not run."""
    if (pid := server.pid) is None:
        return
    family = fencing.tree([pid])
    # SIGINT is Postgres' fast shutdown
    fencing.send(family[:1], signal.SIGINT)
    if left := fencing.wait_gone(family, READY_S):
        fencing.kill([p.pid for p in left])
    _reap(server)


def fence(server: Server, reason: str) -> None:
    """Kill it, hung or not, and keep it from starting; see `archlab.recovery.fencing`."""
    fencing.raise_fence(server.folder, reason)
    kill(server)


def kill(server: Server) -> None:
    """SIGKILL for all its processes, hung or not. Harmless when it does not run."""
    if (pid := server.pid) is not None:
        fencing.kill([pid])
    _reap(server)


def run(server: Server, program: str, arguments: Sequence[str], *, timeout_s: float = 120.0) -> str:
    """Run one of Postgres' programs to its end; what it printed.

    Raises:
        TargetError: it fails, or takes longer than `timeout_s`.
    """
    argv = unprivileged.command([server.programs.path(program), *arguments])
    env = {"PATH": str(server.programs.folder), "PGPASSFILE": str(server.password), "LC_ALL": "C"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, cwd="/", env=env, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        raise TargetError(
            f"{program} of {server.name} takes longer than {timeout_s:g} s.", "Is the link between the regions cut?"
        ) from None
    if done.returncode:
        last = tuple((done.stderr or done.stdout).strip().splitlines()[-TAIL:])
        raise TargetError(f"{program} of {server.name} fails.", f"See: {server.log}", unit=server.name, log_tail=last)
    return done.stdout


def failure(server: Asked, what: str) -> ArchlabError:
    """The error for a server that is not as it should be."""
    remedy = f"See: {server.log}" if isinstance(server, Server) else ""
    return TargetError(f"Postgres of {server.name} {what}.", remedy, unit=server.name, log_tail=server.last_words())


def _launch(server: Server, env: Mapping[str, str] | None) -> None:
    argv = [server.programs.path(PROGRAM), "-D", str(server.data), "-c", f"config_file={server.config}"]
    with server.log.open("ab") as log:
        process = subprocess.Popen(
            unprivileged.command(argv),
            env={"PATH": f"{server.programs.folder}:/usr/bin:/bin", "LC_ALL": "C", **(env or {})},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o077,
        )
    _STARTED[server.folder] = process


_STARTED: dict[Path, subprocess.Popen[bytes]] = {}
"""What this process started itself: until its pid file is there, and to reap it."""


def _reap(server: Server) -> None:
    if process := _STARTED.pop(server.folder, None):
        process.wait()


def _starting(server: Server) -> bool:
    process = _STARTED.get(server.folder)
    return process is not None and process.poll() is None


def _said(error: Exception) -> str:
    details = error.args[0] if error.args else error
    return str(details.get("M", details) if isinstance(details, dict) else details).rstrip(".")


def _name(standby: str) -> str:
    return '"' + standby.replace('"', '""') + '"'


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
