"""Base backups, an archive of the write-ahead log, and from both any moment in between: point-in-time recovery.

Replication is no backup: what is deleted by mistake is deleted in the other region a moment later.
"""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from archlab.errors import ConflictError, LabStateError, NotFoundError, TargetError
from archlab.recovery.server import USER, Server, configure, reload, replacing, run, start

PATIENCE_S = 60.0
_PIECE = re.compile(r"[0-9A-F]{24}(\.[0-9A-F]{8}\.backup|\.partial)?")
_PAUSE_S = 0.05


def archiving(folder: Path, timeout_s: int) -> dict[str, str]:
    """Settings of a server whose log is archived: piece by piece, and after `timeout_s` at the latest.

    A piece that is there already is accepted when it is the same: a server that was killed hands it over again.
    """
    place = shlex.quote(f"{folder}/") + "%f"
    part = shlex.quote(f"{folder}/") + ".%f.part"
    copy = f"cp %p {part} && mv {part} {place}"
    command = f"if test -f {place}; then cmp -s %p {place}; else {copy}; fi"
    return {"archive_mode": "on", "archive_command": command, "archive_timeout": f"{timeout_s}s"}


def base_backup(server: Server, into: Path) -> Path:
    """A whole copy of a running server's data, checked against its own manifest; it appears when it is complete.

    Raises:
        ConflictError: there is one of that name.
        TargetError: the backup fails, or what was written is not what was read.
    """
    if into.exists():
        raise ConflictError(f"There is a backup {into.name} already.", "Backups are never overwritten: name another.")
    part = into.with_name(f".{into.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = ["--host", str(server.sockets), "--port", str(server.port), "--username", USER, "--no-password"]
    run(server, "pg_basebackup", ["--pgdata", str(part), *there, "--checkpoint=fast", "--wal-method=stream"])
    verify(server, part)
    part.rename(into)
    return into


def first_needed(backup: Path) -> str:
    """The first piece of the archive without which a base backup can't be restored.

    Raises:
        TargetError: the backup does not say.
    """
    with suppress(OSError, StopIteration):
        lines = (backup / "backup_label").read_text().splitlines()
        told = next(line for line in lines if line.startswith("START WAL LOCATION:"))
        return told.rpartition("file ")[2].rstrip(")")
    raise TargetError(f"Backup {backup.name} does not say which part of the log it needs.", "Take another one.")


def forget_before(archive: Path, piece: str) -> int:
    """Delete what was archived before a piece; how many pieces went.

    Time lines don't count, as with pg_archivecleanup; their histories stay: they are small, and a restore follows them.
    """
    doomed = [p for p in archive.glob("*") if _PIECE.fullmatch(p.name) and p.name[8:24] < piece[8:24]]
    for path in doomed:
        path.unlink(missing_ok=True)
    return len(doomed)


def verify(server: Server, backup: Path) -> None:
    """Read a backup and compare every file with its manifest.

    Raises:
        TargetError: it is not what was backed up; names the file.
    """
    run(server, "pg_verifybackup", ["--quiet", str(backup)])


def restore(
    server: Server,
    backup: Path,
    archive: Path,
    until: datetime | None,
    env: Mapping[str, str] | None = None,
    *,
    alone: bool = False,
) -> None:
    """Make a server's data what it was at a moment; returns when it runs as a primary. Whatever it had is gone.

    Args:
        server: it stands still, and no fence is around it.
        backup: of before that moment.
        archive: what was written since.
        until: commits after it are left out; None takes all that was archived.
        env: of the server's processes.
        alone: only what the backup itself holds; nothing that was archived after it.

    Raises:
        NotFoundError: there is no such backup.
        LabStateError: the server runs.
        TargetError: the backup is damaged, or the archive does not reach that moment; carries the log.
    """
    if not (backup / "backup_manifest").exists():
        raise NotFoundError(f"There is no backup at {backup}.")
    if server.pid is not None:
        raise LabStateError(f"Postgres of {server.name} runs.", "Stop it first: a restore replaces all its data.")
    verify(server, backup)
    with replacing(server.data) as part:
        shutil.copytree(backup, part, symlinks=True)
        # in it from the first moment on: without it the copy would start as what it was, and forget the archive
        (part / "recovery.signal").touch(mode=0o600)
    goal = {"recovery_target": "immediate"} if alone else {}
    goal |= {"recovery_target_time": f"{until.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"} if until else {}
    command = f"cp {shlex.quote(f'{archive}/')}%f %p"
    further = {"restore_command": command, "recovery_target_action": "promote", **goal}
    configure(server, further=further)
    start(server, env)
    _wait_primary(server)
    configure(server)
    reload(server)


def archive_now(server: Server, archive: Path, patience_s: float = PATIENCE_S) -> None:
    """Hand over what was written up to now; returns when it is archived.

    Raises:
        UnavailableError: the server does not answer.
        TargetError: it is not archived in time.
    """
    ((piece,),) = server.ask("SELECT pg_walfile_name(pg_switch_wal())")
    deadline = time.monotonic() + patience_s
    while not (archive / str(piece)).exists():
        if time.monotonic() > deadline:
            raise TargetError(f"{piece} of {server.name} is not archived.", f"See: {server.log}", unit=server.name)
        time.sleep(_PAUSE_S)


def _wait_primary(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not server.is_primary:
        if time.monotonic() > deadline:
            raise TargetError(f"The recovery of {server.name} does not end.", f"See: {server.log}", unit=server.name)
        time.sleep(_PAUSE_S)
