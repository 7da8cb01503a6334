"""What a region's processes are started by: behind the region's fence, and for its Postgres with data first.

`python -m archlab.recovery.starting FOLDER COMMAND...` runs a command in its own place, unless the region is fenced.
`python -m archlab.recovery.starting FOLDER` does so with the region's Postgres, which `FOLDER/database.json` describes:
an empty one in the primary's region, a copy of the other region's, over the link, where it has to follow.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from archlab.errors import ArchlabError, ConflictError, UnavailableError, UsageError
from archlab.recovery import fencing
from archlab.spec.base import Spec
from archlab.spec.regions import RegionState

if TYPE_CHECKING:
    from archlab.recovery.server import Server

DESCRIPTION = "database.json"
PATIENCE_S = 80.0
_PAUSE_S = 0.2


class Description(Spec):
    """A region's Postgres and how it finds the other region's."""

    name: str
    sockets: Path
    port: int
    password: Path
    settings: dict[str, str]
    upstream_port: int
    """The link's, over which this one follows the other."""
    other: str
    other_port: int
    """The other's own, on whose socket its administrator asks it to keep what this one needs."""
    follows: bool
    """Whether it is made as a copy; of one that has data the data decides."""
    start: Path
    """A base backup that the first one is made from, if it is there."""
    state: Path
    """Where the pair stands, as runbooks left it."""


def main(arguments: list[str]) -> None:
    """Run it; does not return.

    Raises:
        ConflictError: the region is fenced, or its Postgres would be a second primary.
        TargetError: the region's Postgres can't be made.
    """
    if not arguments:
        raise UsageError("A region's folder is needed.")
    folder, argv = Path(arguments[0]), arguments[1:]
    fencing.refuse_if_fenced(folder)
    if not argv:
        argv = _postgres(folder, Description.model_validate_json((folder / DESCRIPTION).read_bytes()))
        fencing.refuse_if_fenced(folder)
    os.execv(argv[0], argv)  # noqa: S606 a command line of the lab's own, without a shell


def _postgres(folder: Path, known: Description) -> list[str]:
    from archlab.recovery import server, unprivileged
    from archlab.recovery.programs import postgres_programs
    from archlab.recovery.server import Server

    programs = postgres_programs()
    made = Server(known.name, folder, known.sockets, known.port, known.password, programs, known.settings)
    _refuse_second_primary(made, known.state)
    if not (made.data / "PG_VERSION").exists():
        if known.follows:
            other = folder.parent / known.other
            _copy(made, Server(known.other, other, known.sockets, known.other_port, known.password, programs), known)
        else:
            if known.start.is_dir():
                with server.replacing(made.data) as part:
                    shutil.copytree(known.start, part, symlinks=True)
            else:
                server.create(made)
            server.configure(made)
    argv = [programs.path(server.PROGRAM), "-D", str(made.data), "-c", f"config_file={made.config}"]
    return unprivileged.command(argv)


def _refuse_second_primary(made: Server, state: Path) -> None:
    """Data of a primary starts as one: in the other region that is a second one, whatever lowered its fence.

    Raises:
        ConflictError: it would be.
    """
    from archlab.recovery.replication import STANDBY

    with suppress(FileNotFoundError):
        primary = RegionState.model_validate_json(state.read_bytes()).primary
        if primary != made.name and (made.data / "PG_VERSION").exists() and not (made.data / STANDBY).exists():
            raise ConflictError(
                f"{made.name} was primary itself, and {primary} is now: it would take writes beside it.",
                "Let it rejoin: archlab dr failback",
            )


def _copy(made: Server, primary: Server, known: Description) -> None:
    from archlab.recovery import replication, server
    from archlab.recovery.server import Upstream

    upstream, deadline = Upstream(known.upstream_port, replication.slot_name(made.name)), time.monotonic() + PATIENCE_S
    while True:
        try:
            replication.ensure_slot(primary, made.name)
            break
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
    replication.clone(made, upstream)
    server.configure(made, upstream=upstream)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ArchlabError as error:
        print(f"{error.message} {error.remedy}".strip(), file=sys.stderr)  # noqa: T201 a unit's log
        for line in getattr(error, "log_tail", ()):
            print(f"  {line}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
