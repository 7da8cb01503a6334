"""Streaming replication between two servers: clone, follow, promote, rejoin, and how far a standby is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from archlab.errors import ConflictError, TargetError, UnavailableError
from archlab.recovery import fencing
from archlab.recovery.asked import Asked
from archlab.recovery.server import (
    HOST,
    USER,
    Server,
    Upstream,
    configure,
    conninfo,
    failure,
    replacing,
    run,
    stop,
)
from archlab.spec.base import Spec

STREAMING_S = 30.0
STANDBY = "standby.signal"
"""File in a server's data: with it the server starts as a standby, without it as a primary."""
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Site:
    """A region's database, and how it finds the other region's."""

    server: Server
    upstream: Upstream
    """Where its database finds the other region's, while it follows."""
    control: Path
    """Of the link over which it does."""

    @property
    def name(self) -> str:
        """The region's."""
        return self.server.name

    @property
    def folder(self) -> Path:
        """Data, log, fence, and what else lies in the region."""
        return self.server.folder


class Follower(Spec):
    """A standby as its primary sees it."""

    name: str
    state: str
    """Postgres' word; `streaming` when it keeps up."""
    synchronous: bool
    """Whether commits wait for it."""
    behind_bytes: int
    """Of the write-ahead log, not yet on its disk."""


def slot_name(standby: str) -> str:
    """Name of the slot that keeps what a standby still needs."""
    return "follower_" + standby.replace("-", "_")


def ensure_slot(primary: Asked, standby: str) -> None:
    """Keep from now on what the standby needs."""
    primary.ask(
        "SELECT pg_create_physical_replication_slot(:slot, true) WHERE NOT EXISTS"
        " (SELECT FROM pg_replication_slots WHERE slot_name = :slot)",
        slot=slot_name(standby),
    )


def drop_slot(server: Asked, standby: str) -> None:
    """Keep nothing any more; harmless when there is no such slot."""
    server.ask(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = :slot AND NOT active",
        slot=slot_name(standby),
    )


def clone(standby: Server, upstream: Upstream) -> None:
    """A base backup of the other server becomes this one's data once it is whole; whatever was there is gone then.

    Raises:
        TargetError: the backup fails.
    """
    there = ["--host", HOST, "--port", str(upstream.port), "--username", USER, "--no-password"]
    options = ["--checkpoint=fast", "--wal-method=stream", "--no-sync", "--slot", upstream.slot]
    with replacing(standby.data) as part:
        run(standby, "pg_basebackup", ["--pgdata", str(part), *there, *options])
        (part / STANDBY).touch(mode=0o600)
    _rewinding(standby).unlink(missing_ok=True)


def promote(server: Asked, patience_s: float = 30.0) -> None:
    """A standby becomes primary; returns when it takes writes. Harmless when it is one.

    Raises:
        UnavailableError: it does not answer.
        TargetError: it is not primary in time.
    """
    if server.is_primary:
        return
    told = server.ask("SELECT pg_promote(true, :seconds)", timeout_s=patience_s + 5, seconds=int(patience_s))
    if told != [[True]]:
        raise failure(server, f"is no primary {patience_s:g} s after its promotion")


def rejoin(server: Server, primary: Asked, upstream: Upstream) -> str:
    """A former primary that stands still becomes a standby of the one that took over: what only it has is undone.

    Returns how; see `follow_again`.
    """
    expect(primary, server.name)
    return follow_again(server, upstream)


def expect(primary: Asked, standby: str) -> None:
    """Prepare whoever took over for one that comes back.

    Raises:
        UnavailableError: it does not answer.
    """
    ensure_slot(primary, standby)
    # before Postgres 16 pg_rewind takes the source's timeline from its last checkpoint, which may be older than the
    # promotion: it would find nothing to undo, and the server could never follow
    primary.ask("CHECKPOINT", timeout_s=60)


def follow_again(server: Server, upstream: Upstream) -> str:
    """The half of `rejoin` that is done where the server's files are.

    Returns how: `rewound` or, where pg_rewind can't or was killed on the way, `cloned` by a new base backup. It is
    configured and may start.
    """
    configure(server, upstream=upstream)
    how = "rewound" if _rewind(server, upstream) else "cloned"
    if how == "cloned":
        clone(server, upstream)
    fencing.lower_fence(server.folder)
    return how


def _rewind(server: Server, upstream: Upstream) -> bool:
    """Whether pg_rewind made a standby of it. One that was killed on the way leaves data that is neither."""
    mark = _rewinding(server)
    if mark.exists():
        return False
    mark.touch(mode=0o600)
    # it ends a crashed server's recovery first, which must not be under other settings than the server's own
    places = ["--target-pgdata", str(server.data), "--config-file", str(server.config)]
    try:
        run(server, "pg_rewind", [*places, "--source-server", conninfo(server, upstream.port), "--no-sync"])
    except TargetError:
        return False
    (server.data / STANDBY).touch(mode=0o600)
    mark.unlink()
    return True


def _rewinding(server: Server) -> Path:
    return server.folder / "rewinding"


def followers(primary: Asked) -> tuple[Follower, ...]:
    """The standbys that are connected.

    Raises:
        UnavailableError: the server does not answer.
    """
    rows = primary.ask(
        "SELECT application_name, state, sync_state IN ('sync', 'quorum'),"
        " coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn), 0)::bigint"
        " FROM pg_stat_replication WHERE state <> 'backup' ORDER BY 1"
    )
    return tuple(Follower(name=n, state=s, synchronous=y, behind_bytes=max(0, b)) for n, s, y, b in rows)


def behind_bytes(primary: Asked, standby: str) -> int | None:
    """How much of the write-ahead log a standby lacks; None when nobody can say."""
    sql = (
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)::bigint FROM pg_stat_replication"
        " WHERE application_name = :standby"
    )
    with suppress(UnavailableError):
        rows = primary.ask(sql, timeout_s=0.5, standby=standby)
        return int(rows[0][0]) if rows and rows[0][0] is not None else None
    return None


def wait_streaming(
    primary: Asked, names: Sequence[str], *, synchronous: bool = False, patience_s: float = STREAMING_S
) -> None:
    """Return when each of these standbys streams and has all that was written before this was called.

    Args:
        primary: whom they follow.
        names: theirs.
        synchronous: commits have to wait for them, too.
        patience_s: how long.

    Raises:
        TargetError: one does not in time.
        UnavailableError: the primary does not answer.
    """
    wanted, deadline = set(names), time.monotonic() + patience_s
    ((target,),) = primary.ask("SELECT pg_current_wal_lsn()")
    while True:
        found = followers(primary)
        level = {name for (name,) in primary.ask(_LEVEL, target=target)}
        if wanted <= (level & {f.name for f in found if f.synchronous} if synchronous else level):
            return
        if time.monotonic() > deadline:
            seen = ", ".join(f"{f.name} {f.state}, {f.behind_bytes} bytes behind" for f in found) or "nobody"
            raise TargetError(
                f"{', '.join(sorted(wanted))} does not follow {primary.name} after {patience_s:g} s: {seen}.",
                "Is the link cut? See the standby's server.log.",
                unit=primary.name,
            )
        time.sleep(_PAUSE_S)


_LEVEL = (
    "SELECT application_name FROM pg_stat_replication"
    " WHERE state = 'streaming' AND flush_lsn >= CAST(:target AS pg_lsn)"
)


def hand_over(leaving: Server, taking: Asked, decided: Callable[[], object] = lambda: None) -> None:
    """The primary ends in order and its standby takes over, with everything.

    Args:
        leaving: the primary.
        taking: its standby.
        decided: called when nothing is missing, right before the promotion.

    Raises:
        ConflictError: the standby lacks something that the primary has; the primary stands still, nobody was promoted.
        UnavailableError, TargetError: one of them does not answer, or is not promoted.
    """
    take_over(taking, leaving.name, leave(leaving), decided)


def leave(server: Server) -> str:
    """A primary ends in order; position of what it wrote last of all."""
    stop(server)
    return _last_checkpoint(server)


def take_over(taking: Asked, left: str, last: str, decided: Callable[[], object] = lambda: None) -> None:
    """The other half of `hand_over`: promote a standby that lacks nothing of what a primary wrote before it ended.

    Args:
        taking: the standby.
        left: name of the primary that ended.
        last: position of what it wrote last of all.
        decided: called when nothing is missing, right before the promotion.

    Raises:
        ConflictError: something is missing; nobody was promoted.
        UnavailableError, TargetError: the standby does not answer, or is not promoted.
    """
    ((complete,),) = taking.ask("SELECT pg_last_wal_receive_lsn() > CAST(:last AS pg_lsn)", last=last)
    if not complete:
        raise ConflictError(
            f"{taking.name} lacks what {left} wrote last, so it is not promoted.",
            f"Start {left} again and wait until {taking.name} follows it; is the link cut?",
        )
    decided()
    promote(taking)


def _last_checkpoint(server: Server) -> str:
    """Position of the last checkpoint of a server that stands still: what it wrote last of all."""
    told = run(server, "pg_controldata", ["--pgdata", str(server.data)])
    return next(
        line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("Latest checkpoint location:")
    )
