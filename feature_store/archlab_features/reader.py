"""Reads the online feature snapshots that control publishes; what a server holds in memory instead of a Feast client.

The formats are `archlab/feature-snapshot/v1` (the manifest) and `archlab/view-snapshot/v1` (one view's rows), see
docs/interfaces.md. A snapshot is immutable: a reader that follows the manifest swaps one for the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

KEY_SEPARATOR = "|"
MANIFEST_FORMAT = "archlab/feature-snapshot/v1"
VIEW_FORMAT = "archlab/view-snapshot/v1"
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_MISSING_ROW = -1


class SnapshotError(ValueError):
    """A manifest or a view's file that can't be read as what it should be; the message names the file and the fault."""


@dataclass(frozen=True, slots=True)
class View:
    """One feature view's rows. `values` is `[rows + 1, features]`; its last row is NaN and stands for unknown keys."""

    name: str
    sha256: str
    join_keys: tuple[str, ...]
    features: tuple[str, ...]
    materialized: datetime
    """Business time of the materialisation that wrote the rows."""
    values: NDArray[np.float32]
    index: Mapping[str, int]
    """Row of a key; several join keys are joined with `|`."""
    event_times: NDArray[np.datetime64]
    """Event timestamp per row, microseconds UTC; NaT when the file names none."""

    def row(self, key: str) -> int:
        """Row of `key` in `values`; an unknown key's is the row of NaN."""
        return self.index.get(key, _MISSING_ROW)

    def rows(self, keys: Iterable[str]) -> NDArray[np.intp]:
        """Rows of several keys, unknown ones pointing at the row of NaN."""
        find = self.index.get
        return np.array([find(key, _MISSING_ROW) for key in keys], dtype=np.intp)

    def lookup(self, keys: Sequence[str]) -> NDArray[np.float32]:
        """Features `[len(keys), features]` in the view's order; NaN where the key or the value is unknown."""
        return self.values[self.rows(keys)]

    def event_timestamp(self, key: str) -> datetime | None:
        """When the row's last event happened; None for an unknown key or a row without one."""
        row = self.index.get(key)
        if row is None or np.isnat(self.event_times[row]):
            return None
        moment: datetime = self.event_times[row].item()
        return moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every view at one sequence of the manifest."""

    sequence: int
    business_time: datetime
    views: Mapping[str, View]
    absent: frozenset[str] = frozenset()
    """Views that were published and whose file has not arrived here: in a region."""


EMPTY = Snapshot(sequence=0, business_time=_NEVER, views={})
"""Before the first manifest: sequence 0, no views."""


def join_key(values: Sequence[str]) -> str:
    """The key of a row, from its join keys' values in the view's order."""
    return KEY_SEPARATOR.join(values)


def read_snapshot(manifest: Path, previous: Snapshot = EMPTY) -> Snapshot:
    """The snapshot that the manifest names; views whose digest is unchanged are taken over from `previous`.

    Raises:
        SnapshotError: manifest or view file is missing, damaged, or not what its digest says.
    """
    document = _json(manifest, _bytes(manifest), MANIFEST_FORMAT)
    known = {view.sha256: view for view in previous.views.values()}
    try:
        views = [_view(manifest.parent, entry, known) for entry in document["views"]]
        absent = frozenset(map(str, document.get("absent", ())))
        business_time = _time(document["business_time"])
        return Snapshot(int(document["sequence"]), business_time, {v.name: v for v in views}, absent)
    except SnapshotError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotError(f"{manifest}: {_fault(error)}") from error


def read_view(path: Path, sha256: str, materialized: datetime) -> View:
    """One view's file, checked against its digest.

    Raises:
        SnapshotError: the file is missing, its digest differs, or its content is not a view's snapshot.
    """
    raw = _bytes(path)
    found = hashlib.sha256(raw).hexdigest()
    if found != sha256:
        raise SnapshotError(f"{path}: SHA-256 is {found[:12]}…, the manifest says {sha256[:12]}…")
    document = _json(path, raw, VIEW_FORMAT)
    try:
        return _parse_view(document, sha256, materialized)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SnapshotError(f"{path}: {_fault(error)}") from error


def _view(folder: Path, entry: Mapping[str, Any], known: Mapping[str, View]) -> View:
    materialized = _time(entry["materialized"])
    view = known.get(entry["sha256"])
    if view is not None and view.name == entry["view"]:
        return view if view.materialized == materialized else replace(view, materialized=materialized)
    view = read_view(folder / entry["path"], entry["sha256"], materialized)
    if view.name != entry["view"]:
        raise SnapshotError(f"{folder / entry['path']}: holds view {view.name!r}, the manifest says {entry['view']!r}")
    return view


def _parse_view(document: Mapping[str, Any], sha256: str, materialized: datetime) -> View:
    rows: dict[str, list[float | None]] = document["rows"]
    features = tuple(document["features"])
    values = np.full((len(rows) + 1, len(features)), np.nan, dtype=np.float32)
    if rows:
        parsed = np.array(list(rows.values()), dtype=np.float32)
        if parsed.shape != (len(rows), len(features)):
            raise ValueError(f"rows have shape {parsed.shape}, {len(features)} features are named")
        values[:-1] = parsed
    return View(
        name=str(document["view"]),
        sha256=sha256,
        join_keys=tuple(document["join_keys"]),
        features=features,
        materialized=materialized,
        values=values,
        index={key: row for row, key in enumerate(rows)},
        event_times=_event_times(rows, document.get("event_timestamps") or {}),
    )


def _event_times(keys: Iterable[str], stamps: Mapping[str, str | None]) -> NDArray[np.datetime64]:
    moments = [_naive_utc(stamps.get(key)) for key in keys]
    return np.array(moments, dtype="datetime64[us]")


def _naive_utc(stamp: str | None) -> datetime | None:
    return None if stamp is None else _time(stamp).replace(tzinfo=None)


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone")
    return moment.astimezone(UTC)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror or error}") from error


def _json(path: Path, raw: bytes, expected: str) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise SnapshotError(f"{path}: not JSON: {error}") from error
    found = document.get("format") if isinstance(document, dict) else type(document).__name__
    if not isinstance(document, dict) or found != expected:
        raise SnapshotError(f"{path}: format is {found!r}, expected {expected!r}")
    return document


def _fault(error: Exception) -> str:
    return f"field {error} is missing" if isinstance(error, KeyError) else str(error)
