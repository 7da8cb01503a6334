"""Feast's online store in a Redis: rows, and beside them how far each view has come, so that both are lost together."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from feast.infra.online_stores.helpers import _redis_key_prefix

from archlab_features.feast_import import feast
from archlab_features.online import AT_ONCE, PROJECT, Row, entity, number, unpack
from archlab_features.views import VIEWS, View

TIMEOUT_S = 10.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RedisStore:
    """The Redis that a URL names. Its keys begin with Feast's, and end with the lab's own project.

    Args:
        url: `redis[s]://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`.
        folder: Feast's folder of the lab; holds `online.id`, by which the lab knows its rows again.

    Raises:
        ValueError: the URL can't be one of a Redis.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._client = redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        self._connection = connection_string(url)
        self.project = f"{PROJECT}_{_identity(folder)}"
        self._mark = f"archlab:{self.project}:state"
        self._counted: dict[str, dict[str, Row]] = {}

    @property
    def configuration(self) -> Mapping[str, Any]:
        """See `OnlineStore`. Which row is the newest is decided before Feast writes it, so Feast need not."""
        return {"type": "redis", "connection_string": self._connection, "skip_dedup": True}

    def read(self, view: View, keys: Sequence[str] | None = None) -> dict[str, Row]:
        """See `OnlineStore`; what was read to count it is not read a second time."""
        if keys is None and view.name in self._counted:
            return self._counted.pop(view.name)
        wanted = self._keys(view) if keys is None else list(keys)
        rows: dict[str, Row] = {}
        for at in range(0, len(wanted), AT_ONCE):
            some = wanted[at : at + AT_ONCE]
            found = self._feast.read(view, [entity(view, key) for key in some])
            rows |= {
                key: Row(moment, tuple(number(values[name]) for name in view.features))
                for key, (moment, values) in zip(some, found, strict=True)
                if moment is not None and moment > EPOCH
            }
        return rows

    def empty(self) -> None:
        """See `OnlineStore`."""
        self._counted.clear()
        self._client.delete(self._mark)
        for keys in {view.join_key: self._packed(view) for view in VIEWS}.values():
            for at in range(0, len(keys), AT_ONCE):
                self._client.delete(*keys[at : at + AT_ONCE])

    def state(self) -> dict[str, datetime]:
        """See `OnlineStore`: nothing when the mark has gone, or a view has not the rows that it should have."""
        found = self._client.get(self._mark)
        known = json.loads(found) if isinstance(found, bytes) else {}
        by_name = {view.name: view for view in VIEWS}
        if not known.keys() <= by_name.keys():
            return {}
        self._counted = {name: self.read(by_name[name]) for name in known}
        if any(len(self._counted[name]) != entry["rows"] for name, entry in known.items()):
            return {}
        return {name: datetime.fromisoformat(entry["moment"]) for name, entry in known.items()}

    def keep(self, state: Mapping[str, datetime], rows: Mapping[str, int]) -> None:
        """See `OnlineStore`."""
        entries = {name: {"moment": moment.isoformat(), "rows": rows[name]} for name, moment in state.items()}
        self._client.set(self._mark, json.dumps(entries))

    def _keys(self, view: View) -> list[str]:
        """Of every view with that join key: they share a hash."""
        return [unpack(packed.removesuffix(self.project.encode())) for packed in self._packed(view)]

    def _packed(self, view: View) -> list[bytes]:
        pattern = _redis_key_prefix([view.join_key]) + b"*" + self.project.encode()
        return sorted(self._client.scan_iter(pattern, count=1000))

    @cached_property
    def _feast(self) -> _Reader:
        return _Reader(self.project, self.configuration)


class _Reader:
    """Feast's own way to read rows."""

    def __init__(self, project: str, configuration: Mapping[str, Any]) -> None:
        from feast.infra.online_stores.redis import RedisOnlineStore

        self._store = RedisOnlineStore()
        self._config = feast.RepoConfig(
            project=project,
            provider="local",
            registry="unused",
            online_store=dict(configuration),
            entity_key_serialization_version=3,
        )

    def read(self, view: View, keys: list[Any]) -> list[tuple[datetime | None, Mapping[str, Any]]]:
        """Per key when its row was made, and the row."""
        found: list[tuple[datetime | None, Mapping[str, Any]]] = self._store.online_read(
            self._config, _feature_view(view), keys, list(view.features)
        )
        return found


def _feature_view(view: View) -> Any:
    from archlab_features.repository import feature_view

    return feature_view(view, Path())


def connection_string(url: str) -> str:
    """A Redis URL as Feast writes it: `HOST:PORT,db=0,ssl=true,password="…"`.

    Raises:
        ValueError: it names no host, or is one that Feast's form has no way to write.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("it is not redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]")
    if ":" in parts.hostname:
        raise ValueError("Feast can't take an IPv6 address of a Redis; name a host")
    named = {"username": parts.username, "password": parts.password}
    said = {name: unquote(value) for name, value in named.items() if value}
    if any("," in value for value in said.values()):
        raise ValueError("Feast can't take a user name or a password with a comma in it")
    database = parts.path.strip("/") or "0"
    if not database.isdecimal():
        raise ValueError(f"{database!r} is no number of a database")
    options = [f"db={database}", f"socket_timeout={TIMEOUT_S}", f"socket_connect_timeout={TIMEOUT_S}"]
    options += ["ssl=true"] if parts.scheme == "rediss" else []
    options += [f"{name}={json.dumps(value)}" for name, value in said.items()]
    return ",".join([f"{parts.hostname}:{parts.port or 6379}", *options])


def _identity(folder: Path) -> str:
    """Of the lab: two labs of one name, on two clusters, are two."""
    file = folder / "online.id"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(uuid.uuid4().hex[:12])
        part.replace(file)
    return file.read_text().strip()
