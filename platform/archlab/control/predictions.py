"""What servers predicted, kept per request for a while: read from their logs, mirrored answers joined with live ones.

In a database of its own, `control/predictions.db`: all of it can be read from the logs again, and the ledger never
waits for it. A request is named by model and correlation id, so reading a log twice changes nothing, and of a question
that was asked again the last answer counts.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from archlab.control.prediction_logs import Piece, Position, read
from archlab.control.store import Store
from archlab.control.times import to_us
from archlab.errors import ArchlabError

KEPT = 50_000
"""Newest rows of each version's live answers, and of its answers to copies; older ones go."""
MAX_ROWS = 128
"""Of one request."""
JOINED_WITHIN_US = 600_000_000
"""A copy whose original has not turned up by then is given up."""
OK = 200

_VERSION = 2
_SCHEMA = """
CREATE TABLE logs (
  name TEXT PRIMARY KEY, inode INTEGER NOT NULL, offset INTEGER NOT NULL, head_bytes INTEGER NOT NULL,
  head TEXT NOT NULL, damaged INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE series (
  id INTEGER PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, shadow INTEGER NOT NULL,
  requests INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL DEFAULT 0,
  pairs INTEGER NOT NULL DEFAULT 0, abs_difference REAL NOT NULL DEFAULT 0, UNIQUE (model, version, shadow)
);
-- the id of a copy is that of its original plus one
CREATE TABLE predictions (
  id INTEGER PRIMARY KEY, series INTEGER NOT NULL, row INTEGER NOT NULL, subject TEXT, asked_us INTEGER,
  t_us INTEGER NOT NULL, us INTEGER NOT NULL, status INTEGER NOT NULL, replayed INTEGER NOT NULL, prediction REAL,
  unjoined INTEGER NOT NULL
);
CREATE INDEX predictions_by_time ON predictions (series, t_us);
CREATE INDEX predictions_unjoined ON predictions (t_us) WHERE unjoined;
CREATE TABLE subjects (
  series INTEGER NOT NULL, subject TEXT NOT NULL, asked_us INTEGER NOT NULL, PRIMARY KEY (series, subject, asked_us)
) WITHOUT ROWID;
CREATE TRIGGER counted AFTER INSERT ON predictions WHEN NEW.row = 0 BEGIN
  UPDATE series SET requests = requests + 1, errors = errors + (NEW.status <> 200) WHERE id = NEW.series;
END;
"""

_INSERT = """
INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET series = excluded.series, subject = excluded.subject, asked_us = excluded.asked_us,
  t_us = excluded.t_us, us = excluded.us, status = excluded.status, replayed = excluded.replayed,
  prediction = excluded.prediction
WHERE excluded.t_us > t_us
"""

_COUNT_PAIRS = """
UPDATE series SET pairs = series.pairs + new.pairs, abs_difference = series.abs_difference + new.difference FROM (
  SELECT copy.series AS id, count(*) AS pairs, total(abs(copy.prediction - live.prediction)) AS difference
  FROM predictions AS copy INDEXED BY predictions_unjoined JOIN predictions AS live ON live.id = copy.id - 1
  JOIN series AS ours ON ours.id = copy.series JOIN series AS theirs ON theirs.id = live.series
  WHERE copy.unjoined AND copy.status = 200 AND live.status = 200 AND ours.version <> theirs.version
  GROUP BY copy.series
) AS new WHERE new.id = series.id
"""

_MARK_JOINED = """
UPDATE predictions INDEXED BY predictions_unjoined SET unjoined = 0
WHERE unjoined AND (t_us < ? OR EXISTS (SELECT 1 FROM predictions AS live WHERE live.id = predictions.id - 1))
"""

_FORGET = """
DELETE FROM predictions WHERE series = ?1 AND t_us < (
  SELECT t_us FROM predictions WHERE series = ?1 ORDER BY t_us DESC LIMIT 1 OFFSET ?2
)
"""

_MOVE = """
INSERT INTO logs VALUES (:name, :inode, :offset, :head_bytes, :head, :damaged)
ON CONFLICT DO UPDATE SET inode = :inode, offset = :offset, head_bytes = :head_bytes, head = :head,
  damaged = damaged + :damaged
"""

_log = logging.getLogger(__name__)

TableKeys = Callable[[str], Sequence[str]]
"""The keys that name what a model is asked about."""


class Row(NamedTuple):
    """One row of one request."""

    model: str
    version: str
    shadow: bool
    correlation: str
    row: int
    subject: str | None
    asked_us: int | None
    t_us: int
    us: int
    status: int
    replayed: bool
    """Asked at its moment on the business clock: replay sends the question's id as `x-request-id` too."""
    prediction: float | None

    @property
    def series(self) -> tuple[str, str, bool]:
        """What it is counted under."""
        return self.model, self.version, self.shadow

    @property
    def id(self) -> int:
        """The same whenever it is read: 62 bits of a digest, and one for a copy."""
        name = f"{self.model}\0{self.correlation}\0{self.row}".encode()
        return int.from_bytes(blake2b(name, digest_size=8).digest()) >> 2 << 1 | self.shadow


class Predictions:
    """The database, and the one who fills it.

    Args:
        path: of the database; one that can't be read is made anew from the logs.
        logs: folder of the servers' logs.
        table_keys: asked only about requests that do not say what they are about.
        kept: newest rows of each series.
    """

    def __init__(self, path: Path, logs: Path, table_keys: TableKeys, kept: int = KEPT) -> None:
        self._store = _opened(path)
        self._logs = logs
        self._table_keys = table_keys
        self._kept = kept
        self._lock = threading.Lock()
        self.changes = 0
        """Grows whenever something new was read."""

    def take_in(self, within_s: float = 1.0) -> bool:
        """Read what is new for about that long; whether there is more."""
        deadline = time.monotonic() + within_s
        with self._lock:
            for path in sorted(self._logs.glob("*.jsonl")):
                while (piece := read(path, self._position(path.name))) is not None:
                    self._keep(path.name, piece)
                    if time.monotonic() > deadline:
                        return True
            return False

    @contextmanager
    def read(self, control_db: Path) -> Iterator[sqlite3.Connection]:
        """A view of what is kept, with control's tables as `control`."""
        with self._store.read() as db:
            db.execute("COMMIT")
            db.execute("ATTACH ? AS control", (str(control_db),))
            db.execute("BEGIN")
            yield db

    def close(self) -> None:
        """Close the database; a round that is under way ends first."""
        with self._lock:
            self._store.close()

    def _position(self, name: str) -> Position | None:
        with self._store.read() as db:
            row = db.execute("SELECT inode, offset, head_bytes, head FROM logs WHERE name = ?", (name,)).fetchone()
        return Position(*row) if row else None

    def _keep(self, name: str, piece: Piece) -> None:
        """Rows and position in one transaction: a line is either read and kept, or neither."""
        rows, damaged = parsed(piece.lines, self._table_keys)
        with self._store.write() as db:
            series = {key: _series(db, key) for key in {row.series for row in rows}}
            db.executemany(_INSERT, [(row.id, series[row.series], *row[4:], row.shadow) for row in rows])
            about = {(series[row.series], row.subject, row.asked_us or 0) for row in rows if row.subject}
            db.executemany("INSERT OR IGNORE INTO subjects VALUES (?, ?, ?)", about)
            if rows:
                db.execute(_COUNT_PAIRS)
                db.execute(_MARK_JOINED, (max(row.t_us for row in rows) - JOINED_WITHIN_US,))
                db.executemany(_FORGET, [(key, self._kept) for key in series.values()])
            db.execute(_MOVE, {"name": name, **piece.position._asdict(), "damaged": damaged})
        self.changes += 1


def _series(db: sqlite3.Connection, key: tuple[str, str, bool]) -> int:
    db.execute("INSERT OR IGNORE INTO series (model, version, shadow) VALUES (?, ?, ?)", key)
    found: int = db.execute("SELECT id FROM series WHERE (model, version, shadow) = (?, ?, ?)", key).fetchone()["id"]
    return found


def parsed(lines: Iterable[bytes], table_keys: TableKeys) -> tuple[list[Row], int]:
    """Rows of log lines, and how many lines could not be read."""
    rows: list[Row] = []
    damaged = 0
    for line in lines:
        try:
            rows += _rows(_document(line), table_keys)
        except (ValueError, TypeError, KeyError, IndexError):
            damaged += 1
    return rows, damaged


def _document(line: bytes) -> dict[str, Any]:
    """A line; what a server that was killed left of one may stand before it."""
    try:
        found = orjson.loads(line)
    except ValueError:
        found = orjson.loads(line[line.rindex(b'{"t":"') :])
    if not isinstance(found, dict):
        raise TypeError(line)
    return found


def _rows(record: Mapping[str, Any], table_keys: TableKeys) -> list[Row]:
    model, request_id = str(record["model"]), str(record["request_id"])
    predictions = [None if value is None else float(value) for value in record["prediction"]][:MAX_ROWS] or [None]
    subjects, asked_us = _about(model, request_id, record["keys"], len(predictions), table_keys)
    correlation, t_us = str(record.get("correlation_id") or request_id), to_us(datetime.fromisoformat(record["t"]))
    replayed = asked_us is not None and correlation == request_id
    version, shadow, us, status = record["version"], bool(record["shadow"]), int(record["us"]), record.get("status", OK)
    about = str(version), shadow, correlation
    return [
        Row(model, *about, n, subjects[n], asked_us, t_us, us, int(status), replayed, prediction)
        for n, prediction in enumerate(predictions)
    ]


def _about(
    model: str, request_id: str, keys: Mapping[str, Sequence[str]], rows: int, table_keys: TableKeys
) -> tuple[Sequence[str | None], int | None]:
    """Each row's subject, and when it was asked: from an id MODEL/SUBJECT/ASKED, otherwise subjects from the keys."""
    if request_id.startswith(f"{model}/"):
        subject, _, asked = request_id[len(model) + 1 :].rpartition("/")
        try:
            return [subject or None] * rows, to_us(datetime.fromisoformat(asked))
        except (ValueError, TypeError):
            pass
    wanted = table_keys(model) if keys else ()
    if not wanted or not all(len(keys.get(key, ())) >= rows for key in wanted):
        return [None] * rows, None
    return ["@".join(str(keys[key][n]) for key in wanted) for n in range(rows)], None


def _opened(path: Path) -> Store:
    try:
        return Store(path, _SCHEMA, _VERSION)
    except (ArchlabError, sqlite3.DatabaseError) as error:
        _log.warning("%s is made anew from the prediction logs: %s", path, error)
        for old in path.parent.glob(f"{path.name}*"):
            old.unlink()
        return Store(path, _SCHEMA, _VERSION)
