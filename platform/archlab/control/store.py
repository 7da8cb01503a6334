"""SQLite in WAL mode, one writer; control.db's schema. What is acknowledged is on disk.

Tables of the bill and of lineage are made by their own modules when control starts.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archlab.errors import ArchlabError

VERSION = 1
"""Of the schema; kept in SQLite's user_version."""

SCHEMA = """
CREATE TABLE clock (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  started_us INTEGER NOT NULL, now_us INTEGER NOT NULL,
  lease_until_us INTEGER, lease_pid INTEGER, lease_born TEXT
);
CREATE TABLE ticks (start_us INTEGER PRIMARY KEY, end_us INTEGER NOT NULL, digest TEXT NOT NULL);
CREATE TABLE answers (
  request_id TEXT PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, subject TEXT NOT NULL,
  asked_us INTEGER NOT NULL, prediction REAL, features_us INTEGER, latency_ms REAL NOT NULL,
  timeliness TEXT NOT NULL, status INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_by_time ON answers (model, asked_us);
CREATE TABLE labels (
  model TEXT NOT NULL, subject TEXT NOT NULL, asked_us INTEGER NOT NULL, known_us INTEGER NOT NULL,
  actual REAL NOT NULL, baseline REAL, PRIMARY KEY (model, subject, asked_us)
) WITHOUT ROWID;
CREATE TABLE decisions (
  sequence INTEGER PRIMARY KEY, action TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
  allow INTEGER NOT NULL, record TEXT NOT NULL
);
CREATE INDEX decisions_by_version ON decisions (name, version, action, sequence);
CREATE TABLE feeds (sequence INTEGER PRIMARY KEY, feed TEXT NOT NULL);
CREATE TABLE snapshots (sequence INTEGER PRIMARY KEY, manifest TEXT NOT NULL);
CREATE TABLE batch_runs (
  id TEXT PRIMARY KEY, model TEXT NOT NULL, business_us INTEGER NOT NULL, recorded INTEGER NOT NULL,
  run TEXT NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, table_keys TEXT NOT NULL, source TEXT NOT NULL
) WITHOUT ROWID;
"""


class Store:
    """A database of one lab.

    Args:
        path: of the file; made when missing.
        schema: statements that make its tables; control.db's unless told.
        version: of the schema.
    """

    def __init__(self, path: Path, schema: str = SCHEMA, version: int = VERSION) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._lock = threading.Lock()
        self._writer = _connect(path)
        _migrate(self._writer, path, schema, version)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone: all of it is kept, or none."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A view of what has been committed; doesn't wait for the writer."""
        connection = _connect(self.path)
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        """Close the writer."""
        self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _migrate(connection: sqlite3.Connection, path: Path, schema: str, version: int) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found == version:
        return
    if found != 0:
        raise ArchlabError(f"{path} has schema {found}; this version of archlab reads {version}.", "Run: archlab reset")
    connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {version}; COMMIT;")
