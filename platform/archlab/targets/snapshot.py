"""A lab's state right after seeding, kept aside: `reset` returns to it.

`python -m archlab.targets.snapshot save|restore` is the same as a job, where the state is not on this machine.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from archlab import jobs
from archlab.errors import LabStateError, UsageError
from archlab.settings import LabFolder

PARTS = ("registry", "control", "releases", "features", "snapshots", "batch")
GONE = ("predictions", "outages")
SQLITE = b"SQLite format 3\x00"
"""First bytes of such a file; Feast keeps a registry.db that is none."""


def exists(folder: LabFolder) -> bool:
    """Whether there is a start to return to."""
    return folder.start.is_dir()


def save(folder: LabFolder) -> None:
    """Copy the state aside, databases through SQLite's backup so that running writers do not matter."""
    part = folder.root / "start.part"
    shutil.rmtree(part, ignore_errors=True)
    for name in PARTS:
        source = folder.root / name
        if source.is_dir():
            shutil.copytree(source, part / name, copy_function=_copy, symlinks=True, ignore=_sqlite_extras)
    shutil.rmtree(folder.start, ignore_errors=True)
    part.rename(folder.start)


def restore(folder: LabFolder) -> None:
    """Put the saved state back; the lab must be stopped.

    Raises:
        LabStateError: none was saved.
    """
    if not exists(folder):
        raise LabStateError(f"Lab {folder.name} has no start to go back to: it was never finished.", "Run: archlab up")
    for name in (*PARTS, *GONE):
        shutil.rmtree(folder.root / name, ignore_errors=True)
    for name in PARTS:
        if (folder.start / name).is_dir():
            _put_back(folder.start / name, folder.root / name)


def _put_back(saved: Path, place: Path) -> None:
    """Fill a folder with what was saved of it.

    A volume may be mounted there: then it can be neither replaced nor given the times and rights of the saved one.
    """
    place.mkdir(parents=True, exist_ok=True)
    for entry in saved.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, place / entry.name, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(entry, place / entry.name, follow_symlinks=False)


def _copy(source: str, target: str) -> str:
    if not _is_sqlite(Path(source)):
        return str(shutil.copy2(source, target))
    reader, writer = sqlite3.connect(f"file:{Path(source)}?mode=ro", uri=True), sqlite3.connect(target)
    try:
        reader.backup(writer)
    finally:
        reader.close()
        writer.close()
    return target


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _sqlite_extras(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith((".db-wal", ".db-shm", ".db-journal"))]


def run(arguments: list[str]) -> dict[str, Any]:
    """The job's body.

    Raises:
        UsageError: neither `save` nor `restore`.
    """
    known = {"save": save, "restore": restore}
    if len(arguments) != 1 or arguments[0] not in known:
        raise UsageError(f"One of {', '.join(known)} is needed, not {' '.join(arguments)!r}.")
    folder = LabFolder.from_environment()
    known[arguments[0]](folder)
    return {"parts": sorted(path.name for path in folder.start.iterdir())}


if __name__ == "__main__":
    jobs.main(run)
