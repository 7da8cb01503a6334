"""The airline's Feast repository: entities, feature views and services, and the store that is opened on a folder.

Importing this module imports Feast (seconds): keep it off every start-up path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archlab_features.feast_import import Float64, feast
from archlab_features.online import PROJECT, OnlineStore, SqliteStore
from archlab_features.views import VIEWS, View, path

Services = Mapping[str, Mapping[str, Sequence[str]]]
"""Feature services by name: per view, the features that the service takes from it."""


def open_store(folder: Path, online: OnlineStore | None = None) -> Any:
    """The Feast store whose registry lies in `folder` (`registry.db`), and its online store too unless one is given."""
    online = online or SqliteStore(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return feast.FeatureStore(
        config=feast.RepoConfig(
            project=online.project,
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store=dict(online.configuration),
            entity_key_serialization_version=3,
            repo_path=str(folder),
        )
    )


def apply(store: Any, folder: Path, data: Path, services: Services) -> bool:
    """Register entities, views over `data` and services; False when the folder has exactly these already."""
    wanted = _fingerprint(data, services, store.project)
    marker = folder / "applied.sha256"
    if marker.exists() and marker.read_text() == wanted:
        return False
    store.apply(definitions(data, services))
    marker.write_text(wanted)
    return True


def definitions(data: Path, services: Services) -> list[Any]:
    """Everything that Feast is told: entities, views, services."""
    entities = {key: _entity(key) for key in {view.join_key for view in VIEWS}}
    views = {view.name: feature_view(view, data) for view in VIEWS}
    feature_services = [
        feast.FeatureService(name=name, features=[views[view][list(features)] for view, features in chosen.items()])
        for name, chosen in services.items()
    ]
    return [*entities.values(), *views.values(), *feature_services]


def _entity(key: str) -> Any:
    return feast.Entity(name=key, join_keys=[key], value_type=feast.ValueType.STRING)


def feature_view(view: View, data: Path) -> Any:
    """A view as Feast is told of it."""
    return feast.FeatureView(
        name=view.name,
        entities=[_entity(view.join_key)],
        ttl=view.ttl,
        schema=[feast.Field(name=feature, dtype=Float64) for feature in view.features],
        source=feast.FileSource(
            name=f"{view.name}_history",
            path=str(path(data, view.name)),
            timestamp_field="event_timestamp",
            created_timestamp_column="created",
        ),
    )


def _fingerprint(data: Path, services: Services, project: str) -> str:
    plain = {name: {view: list(features) for view, features in chosen.items()} for name, chosen in services.items()}
    further = () if project == PROJECT else (project,)
    text = json.dumps([str(data), repr(VIEWS), plain, *further], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
