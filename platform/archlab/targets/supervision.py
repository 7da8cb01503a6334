"""supervisord: its configuration as text, and its XML-RPC interface on a unix socket."""

from __future__ import annotations

import http.client
import shlex
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlab.errors import TargetError, UnavailableError
from archlab.settings import LabFolder
from archlab.targets.commands import GRACE_S, Program
from archlab.unixhttp import UnixConnection

STOP_S = GRACE_S + 5
"""How long a program may take to stop before it is killed."""
STEADY_S = 5
"""A program that ends earlier counts as one that did not start, and is tried again with growing pauses."""
TIMEOUT_S = 10.0
LOG_BYTES = 10 << 20

DOWN = frozenset({"STOPPED", "EXITED", "FATAL"})


def render(programs: Sequence[Program], folder: LabFolder) -> str:
    """`supervisord.conf` for these programs.

    Raises:
        TargetError: a path or a value holds characters that the format has no way to write.
    """
    head = [
        "[unix_http_server]",
        f"file={_value(str(folder.socket('supervisor')))}",
        "chmod=0700",
        "[supervisord]",
        f"logfile={_value(str(folder.log / 'supervisord.log'))}",
        "logfile_maxbytes=5MB",
        "logfile_backups=1",
        f"pidfile={_value(str(folder.run / 'supervisor.pid'))}",
        f"directory={_value(str(folder.root))}",
        f"identifier={_value(folder.name)}",
        "umask=077",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    return "\n".join([*head, *(line for program in programs for line in _section(program, folder)), ""])


def _section(program: Program, folder: LabFolder) -> list[str]:
    env = {**program.command.env, "ARCHLAB_LAB": str(folder.root), "ARCHLAB_UNIT": program.name}
    return [
        f"[program:{program.name}]",
        f"command={_value(shlex.join(program.command.argv))}",
        f"environment={_environment(env)}",
        "autostart=true",
        "autorestart=true",
        f"startsecs={STEADY_S}",
        "startretries=8",
        *([f"stopsignal={program.command.stop_signal}"] if program.command.stop_signal != "TERM" else []),
        f"stopwaitsecs={STOP_S}",
        "stopasgroup=false",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_value(str(folder.log / f'{program.name}.log'))}",
        f"stdout_logfile_maxbytes={LOG_BYTES}",
        "stdout_logfile_backups=1",
    ]


def _environment(env: Mapping[str, str]) -> str:
    for name, value in env.items():
        if '"' in value or value != value.strip("'"):
            raise TargetError(f"{name} can't be handed to a unit: a double quote, or an apostrophe at an end.")
    return ",".join(f'{name}="{_value(value)}"' for name, value in sorted(env.items()))


def _value(text: str) -> str:
    if any(mark in text for mark in ("\n", "\r", " ;", " #")):
        raise TargetError(
            f"supervisord's configuration can't hold {text!r} (a line break, or ';' or '#' after a blank).",
            "Move the lab to a path without them (ARCHLAB_HOME).",
        )
    return text.replace("%", "%%")


@dataclass(frozen=True, slots=True)
class Process:
    """A program as supervisord reports it."""

    name: str
    state: str
    """supervisord's word: STARTING, RUNNING, BACKOFF, STOPPING, STOPPED, EXITED, FATAL."""
    pid: int
    started: int
    """Start of the present run, seconds since the epoch."""
    description: str


@dataclass(frozen=True, slots=True)
class Differences:
    """What a new configuration changes, by program name."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class Supervisor:
    """A running supervisord; every method raises UnavailableError when it does not answer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pid(self) -> int:
        """supervisord's own process id."""
        return int(self._call("getPID"))

    def alive(self) -> bool:
        """Whether it answers."""
        try:
            self.pid()
        except UnavailableError:
            return False
        return True

    def processes(self) -> dict[str, Process]:
        """Every program it has, by name."""
        return {
            str(info["name"]): Process(
                name=str(info["name"]),
                state=str(info["statename"]),
                pid=int(info["pid"]),
                started=int(info["start"]),
                description=str(info["spawnerr"] or info["description"]),
            )
            for info in self._call("getAllProcessInfo")
        }

    def reload(self) -> Differences:
        """Read the configuration again; nothing is started or stopped yet."""
        ((added, changed, removed),) = self._call("reloadConfig")
        return Differences(tuple(added), tuple(changed), tuple(removed))

    def add(self, name: str) -> None:
        """Take a program up; it starts at once."""
        self._call("addProcessGroup", name)

    def start(self, name: str) -> None:
        """Start a program that stands still."""
        self._call("startProcess", name, False)

    def stop(self, name: str) -> None:
        """Ask a program to stop; returns at once."""
        self._call("stopProcess", name, False)

    def stop_all(self) -> None:
        """Ask all programs to stop; returns at once."""
        self._call("stopAllProcesses", False)

    def forget(self, name: str) -> None:
        """Drop a program that stands still."""
        self._call("removeProcessGroup", name)

    def shutdown(self) -> None:
        """Stop everything and end."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            with xmlrpc.client.ServerProxy("http://supervisor", transport=_Transport(self._path)) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise TargetError(
                f"supervisord refuses {method}: {fault.faultString}.", "See: archlab logs supervisord"
            ) from None
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise UnavailableError(f"supervisord does not answer: {error}.") from None


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """A connection to the unix socket, whatever the host."""
        connection = UnixConnection(self._path, TIMEOUT_S)
        self._connection = (host, connection)
        return connection
