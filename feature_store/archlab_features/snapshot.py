"""Feast's online store, exported view by view into the files that servers read (`archlab/view-snapshot/v1`)."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson

from archlab_features.feast_import import EntityKey, Value, deserialize_entity_key, serialize_entity_key
from archlab_features.repository import PROJECT
from archlab_features.views import View

FORMAT = "archlab/view-snapshot/v1"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the online store."""

    event_timestamp: datetime
    values: tuple[float | None, ...]
    """In the order of the view's features; None where the online store has none."""


@dataclass(slots=True)
class OnlineView:
    """What the online store holds of one view, read from its SQLite file; kept: a tick reads only what changed."""

    view: View
    online: Path
    rows: dict[str, Row] = field(default_factory=dict)

    def read_all(self) -> None:
        """Read every row."""
        self._read("", ())

    def read(self, keys: Sequence[str]) -> None:
        """Read some keys' rows again."""
        for at in range(0, len(keys), 500):
            packed = [_packed(self.view, key) for key in keys[at : at + 500]]
            self._read(f"WHERE entity_key IN ({','.join('?' * len(packed))})", packed)

    def fresh(self, moment: datetime) -> dict[str, Row]:
        """Rows by key that are within the view's TTL at a moment; Feast itself does not check that on online reads."""
        oldest = None if self.view.ttl is None else moment - self.view.ttl
        return {key: row for key, row in sorted(self.rows.items()) if oldest is None or row.event_timestamp >= oldest}

    def snapshot(self, moment: datetime) -> bytes:
        """The view's file as of a moment, fresh rows only."""
        rows = self.fresh(moment)
        return orjson.dumps(
            {
                "format": FORMAT,
                "view": self.view.name,
                "join_keys": [self.view.join_key],
                "features": list(self.view.features),
                "rows": {key: row.values for key, row in rows.items()},
                "event_timestamps": {key: row.event_timestamp.isoformat() for key, row in rows.items()},
            }
        )

    def _read(self, where: str, packed: Iterable[bytes]) -> None:
        table = f"{PROJECT}_{self.view.name}"
        query = f'SELECT entity_key, feature_name, value, event_ts FROM "{table}" {where}'  # noqa: S608
        with closing(sqlite3.connect(f"file:{self.online}?mode=ro", uri=True)) as connection:
            found = connection.execute(query, tuple(packed)).fetchall()
        values: dict[bytes, dict[str, float | None]] = {}
        moments: dict[bytes, int] = {}
        for key, name, value, moment in found:
            values.setdefault(key, {})[name] = _number(value)
            moments[key] = moment
        for key, named in values.items():
            # Feast stores a moment in UTC as if it were local time, and reads it back the same way.
            at = datetime.fromtimestamp(moments[key]).replace(tzinfo=UTC)
            self.rows[_unpacked(key)] = Row(at, tuple(named.get(name) for name in self.view.features))


def write_blob(snapshots: Path, content: bytes) -> tuple[str, str]:
    """Keep a file under its digest; returns (sha256, path relative to `snapshots`)."""
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"blobs/{sha256}.json"
    target = snapshots / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        part.write_bytes(content)
        part.replace(target)
    return sha256, name


def _number(packed: bytes) -> float | None:
    value = Value.FromString(packed)
    return value.double_val if value.HasField("double_val") else None


def _packed(view: View, key: str) -> bytes:
    entity = EntityKey(join_keys=[view.join_key], entity_values=[Value(string_val=key)])
    packed: bytes = serialize_entity_key(entity, entity_key_serialization_version=3)
    return packed


def _unpacked(key: bytes) -> str:
    entity = deserialize_entity_key(key, entity_key_serialization_version=3)
    found: str = entity.entity_values[0].string_val
    return found
