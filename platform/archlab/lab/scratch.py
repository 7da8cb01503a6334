"""A second lab beside a learner's: made from the state that the learner's started with, at a time of one's choice.

It has a folder, sockets and a port of its own, shares data, models and Bentos through the cache, and goes afterwards.
The learner's lab is only read. What a killed command leaves behind is cleared by the next one, and by `archlab down`.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from archlab import __version__
from archlab.errors import LabStateError
from archlab.files import write_model
from archlab.lab.lab import Lab
from archlab.lab.lock import exclusive
from archlab.settings import LabFolder, home
from archlab.spec.lab import LabIdentity, LabState
from archlab.spec.plan import Progress
from archlab.spec.scenario import Overrides
from archlab.targets import snapshot

FIRST_PORT = 18080
PRIVATE = ("gradebook.pem",)
"""Keys that stay the learner's: nothing that a scratch lab does may be signed with them."""


def place(lab: Lab) -> Path:
    """Folder that holds a lab's scratch lab, its lock and its way to the cache."""
    return home() / ".scratch" / lab.name


def check_possible(lab: Lab) -> None:
    """Let a lab pass that can have a scratch lab; ask before anything is measured.

    Raises:
        LabStateError: it is on a cluster, has two regions, or was never finished.
    """
    if lab.identity.kube:
        scenario, seed = lab.identity.scenario, lab.identity.seed
        raise LabStateError(
            f"Lab {lab.name} is on a cluster, and a scratch lab is made of what a lab on this machine stores. "
            "Nothing was measured.",
            f"Bring the same lab up here, and ask again there: archlab up {scenario} --lab {lab.name}-here "
            f"--seed {seed}",
        )
    if lab.declared.regions:
        raise LabStateError(f"Lab {lab.name} has two regions: no scratch lab is made of it. Nothing was measured.")
    if not snapshot.exists(lab.folder):
        raise LabStateError(f"Lab {lab.name} was never finished.", f"Run: archlab up --lab {lab.name}")


@contextmanager
def reserved(lab: Lab, what: str) -> Iterator[None]:
    """Hold the place of a lab's scratch lab, and leave it empty.

    Raises:
        ConflictError: another command has one there.
    """
    with exclusive(LabFolder(place(lab)), what):
        try:
            yield
        finally:
            _empty(lab)


@contextmanager
def running(lab: Lab, starts: datetime, overrides: Overrides, progress: Progress) -> Iterator[Lab]:
    """A scratch lab whose clock stands at `starts`, with these overrides; call it inside `reserved`.

    Raises:
        LabStateError: the learner's lab was never finished.
        TargetError: a unit does not come up.
    """
    from archlab.lab.lifecycle import prepare, start

    check_possible(lab)
    _empty(lab)
    made = _copy(lab, starts, overrides)

    def prefixed(step: str, detail: str) -> None:
        progress("scratch lab", f"{step} {detail}".strip())

    try:
        prepare(made, prefixed)
        start(made, prefixed)
        yield made
    finally:
        _empty(lab)


def clear(lab: Lab) -> None:
    """End and delete what is there, whoever made it."""
    _empty(lab)
    shutil.rmtree(place(lab), ignore_errors=True)


def _empty(lab: Lab) -> None:
    folder = LabFolder(place(lab) / lab.name)
    if folder.root.is_dir():
        from archlab.targets.local import LocalTarget

        LocalTarget(folder, port=0).destroy()
        shutil.rmtree(folder.root, ignore_errors=True)


def _copy(lab: Lab, starts: datetime, overrides: Overrides) -> Lab:
    from archlab.targets.ports import free_port

    folder = LabFolder(place(lab) / lab.name)
    folder.root.mkdir(parents=True, mode=0o700)
    if not folder.cache.is_symlink():
        folder.cache.symlink_to(lab.folder.cache)
    shutil.copytree(lab.folder.keys, folder.keys, ignore=shutil.ignore_patterns(*PRIVATE))
    for name in snapshot.PARTS:
        if (lab.folder.start / name).is_dir():
            shutil.copytree(lab.folder.start / name, folder.root / name, symlinks=True)
    _set_clock(folder.control_db, starts)
    write_model(folder.overrides, overrides)
    identity = LabIdentity(
        lab=lab.name,
        scenario=lab.identity.scenario,
        seed=lab.identity.seed,
        code_version=__version__,
        gateway_port=free_port(FIRST_PORT),
        state=LabState.READY,
        created=datetime.now(UTC),
    )
    write_model(folder.identity, identity)
    return Lab(folder)


def _set_clock(database: Path, starts: datetime) -> None:
    """Before control has opened it: the business begins at that moment."""
    moment = int(starts.timestamp()) * 1_000_000
    with closing(sqlite3.connect(database)) as connection, connection:
        moved = connection.execute("UPDATE clock SET started_us = ?, now_us = ?", (moment, moment)).rowcount
    if moved != 1:
        raise LabStateError(f"{database} has no clock: the lab's start is damaged.", "Run: archlab down --purge")
