"""Feast's online store as materialising needs it: which one Feast writes, what is in it, how far each view has come.

It is a SQLite file in the lab's folder, or a Redis (`archlab_features.redis_online`). Feast is its only writer.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from archlab_features.feast_import import EntityKey, Value, deserialize_entity_key, serialize_entity_key
from archlab_features.views import VIEWS, View

PROJECT = "airline"
"""Feast's project of a lab whose online store is a file of its own."""
AT_ONCE = 500
"""Keys that are read with one question."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the online store."""

    event_timestamp: datetime
    values: tuple[float | None, ...]
    """In the order of the view's features; None where the online store has none."""


class OnlineStore(Protocol):
    """What Feast writes and snapshots are made from."""

    @property
    def project(self) -> str:
        """Feast's project: names of two labs' rows in one store differ by it."""

    @property
    def configuration(self) -> Mapping[str, Any]:
        """The store as Feast's configuration has it."""

    def read(self, view: View, keys: Sequence[str] | None = None) -> dict[str, Row]:
        """Rows of a view by key: of some keys, or all."""

    def empty(self) -> None:
        """Take every row of every view away."""

    def state(self) -> dict[str, datetime]:
        """How far each view has come; empty where that is not known for every row that should be there."""

    def keep(self, state: Mapping[str, datetime], rows: Mapping[str, int]) -> None:
        """Remember how far each view has come, and how many rows it has then."""


class SqliteStore:
    """`online.db` in the lab's folder; `state.json` beside it remembers how far each view has come."""

    project = PROJECT

    def __init__(self, folder: Path) -> None:
        self._file = folder / "online.db"
        self._state = folder / "state.json"

    @property
    def configuration(self) -> Mapping[str, Any]:
        """See `OnlineStore`."""
        return {"type": "sqlite", "path": str(self._file)}

    def read(self, view: View, keys: Sequence[str] | None = None) -> dict[str, Row]:
        """See `OnlineStore`."""
        if keys is None:
            return self._read(view, "", ())
        rows: dict[str, Row] = {}
        for at in range(0, len(keys), AT_ONCE):
            packed = [pack(view, key) for key in keys[at : at + AT_ONCE]]
            rows |= self._read(view, f"WHERE entity_key IN ({','.join('?' * len(packed))})", packed)
        return rows

    def empty(self) -> None:
        """See `OnlineStore`."""
        with closing(sqlite3.connect(self._file)) as connection, connection:
            for each in VIEWS:
                connection.execute(f'DELETE FROM "{PROJECT}_{each.name}"')  # noqa: S608

    def state(self) -> dict[str, datetime]:
        """See `OnlineStore`."""
        if not self._state.exists():
            return {}
        return {name: datetime.fromisoformat(moment) for name, moment in json.loads(self._state.read_text()).items()}

    def keep(self, state: Mapping[str, datetime], rows: Mapping[str, int]) -> None:
        """See `OnlineStore`; a file loses no rows, so their number is not kept."""
        part = self._state.with_name(f".state.json.{os.getpid()}.part")
        part.write_text(json.dumps({name: moment.isoformat() for name, moment in state.items()}))
        part.replace(self._state)

    def _read(self, view: View, where: str, packed: Iterable[bytes]) -> dict[str, Row]:
        query = f'SELECT entity_key, feature_name, value, event_ts FROM "{PROJECT}_{view.name}" {where}'  # noqa: S608
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as connection:
            found = connection.execute(query, tuple(packed)).fetchall()
        values: dict[bytes, dict[str, float | None]] = {}
        moments: dict[bytes, int] = {}
        for key, name, value, moment in found:
            values.setdefault(key, {})[name] = number(Value.FromString(value))
            moments[key] = moment
        # Feast stores a moment in UTC as if it were local time, and reads it back the same way.
        return {
            unpack(key): Row(
                datetime.fromtimestamp(moments[key]).replace(tzinfo=UTC),
                tuple(named.get(name) for name in view.features),
            )
            for key, named in values.items()
        }


def number(value: Any) -> float | None:
    """A value of Feast's as a float; None where there is none."""
    return value.double_val if value.HasField("double_val") else None


def entity(view: View, key: str) -> Any:
    """A key as Feast's entity key."""
    return EntityKey(join_keys=[view.join_key], entity_values=[Value(string_val=key)])


def pack(view: View, key: str) -> bytes:
    """A key as online stores hold it."""
    packed: bytes = serialize_entity_key(entity(view, key), entity_key_serialization_version=3)
    return packed


def unpack(packed: bytes) -> str:
    """What `pack` packed."""
    found: str = deserialize_entity_key(packed, entity_key_serialization_version=3).entity_values[0].string_val
    return found
