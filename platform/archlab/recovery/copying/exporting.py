"""Control's records as files that only grow, so that they can be copied: the ledger, the decision log, the rules.

Control stands outside both regions and keeps them in its own database. What a region has of them is a copy for the day
on which control is gone too; nothing here is read back by itself.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from archlab.errors import UnavailableError
from archlab.files import write_atomic
from archlab.recovery.copying.catalogue import LEDGER, LOG, POLICY
from archlab.spec.regions import Part

TABLES: dict[Part, dict[str, tuple[str, str]]] = {
    Part.LEDGER: {
        "usage": ("usage", "id"),
        "corrections": ("corrections", "sequence"),
    },
    Part.POLICY: {"decisions": ("decisions", "sequence")},
}
"""By part: name of the log, the table that it is of, and the column that names a record."""
BUNDLE = ("bundle.json", "bundle.sig")
_FOLDERS = {Part.LEDGER: LEDGER, Part.POLICY: POLICY}


def count(database: Path, part: Part) -> int:
    """How many records control has of a part.

    Raises:
        UnavailableError: its database can't be read.
    """
    with _reading(database) as db:
        return sum(_count(db, table) for table, _ in TABLES[part].values())


class Records:
    """The records of a part, appended to its logs as control gets more.

    Args:
        database: control's.
        bundle: folder of the policy bundle in force.
        root: the region's files.
    """

    def __init__(self, database: Path, bundle: Path, root: Path) -> None:
        self._database = database
        self._bundle = bundle
        self._root = root
        self._known: dict[Path, set[object]] = {}

    def export(self, part: Part) -> int:
        """Append what is new; how many records came.

        Raises:
            UnavailableError: control's database can't be read.
        """
        folder, new = self._root / _FOLDERS[part], 0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _reading(self._database) as db:
            for name, (table, key) in TABLES[part].items():
                new += self._append(db, folder / f"{name}{LOG}", table, key)
        if part is Part.POLICY:
            self._take_bundle(folder)
        return new

    def _append(self, db: sqlite3.Connection, log: Path, table: str, key: str) -> int:
        known = self._known.get(log)
        if known is None or not log.exists():
            known = self._known[log] = _keys(log, key)
        if _count(db, table) == len(known):
            return 0
        rows = db.execute(f"SELECT * FROM {table} ORDER BY {key}").fetchall()  # noqa: S608 names of our own
        fresh = [dict(row) for row in rows if row[key] not in known]
        _write(log, (json.dumps(row, sort_keys=True) for row in fresh))
        known.update(row[key] for row in fresh)
        return len(fresh)

    def _take_bundle(self, folder: Path) -> None:
        for name in BUNDLE:
            with suppress(FileNotFoundError):
                content, place = (self._bundle / name).read_bytes(), folder / name
                if not place.exists() or place.read_bytes() != content:
                    write_atomic(place, content)


class _Reading(closing[sqlite3.Connection]):
    """A connection that reads, and says so when it can't."""


def _reading(database: Path) -> _Reading:
    try:
        db = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)
        db.row_factory = sqlite3.Row
    except sqlite3.Error as error:
        raise UnavailableError(f"Control's database can't be read: {error}.") from None
    return _Reading(db)


def _count(db: sqlite3.Connection, table: str) -> int:
    try:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 names of our own
    except sqlite3.Error as error:
        raise UnavailableError(f"Control's database can't be read: {error}.") from None


def _keys(log: Path, key: str) -> set[object]:
    """Of the records that a log has; a line that was cut off is taken out."""
    try:
        content = log.read_bytes()
    except FileNotFoundError:
        return set()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(log, whole)
    return {json.loads(line)[key] for line in content[:whole].splitlines()}


def _write(log: Path, lines: Iterable[str]) -> None:
    with log.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
