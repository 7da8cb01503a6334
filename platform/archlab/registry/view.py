"""MLflow's own store, read and tagged in the registry's process."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from archlab.errors import UserError
from archlab.files import file_sha256
from archlab.registry.artifacts import model_file
from archlab.registry.evidence import TEAM, Version
from archlab.registry.store import ArtifactStore
from archlab.settings import LabFolder


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model, as far as the gate cares."""

    name: str
    team: str
    """From its tag; empty when it has none."""
    aliases: dict[str, str]
    created: str = ""
    """When it was made, as MLflow's clock has it: another model that takes the name has another."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one registered version comes from."""

    name: str
    version: str
    run_id: str
    model_id: str
    """Of the logged model; empty when there is none."""
    path: str = ""
    """Of its files, below the store's root; empty when they are elsewhere."""


class RegistryView:
    """Facts from MLflow's stores; import MLflow first. Blocking: call it in a thread."""

    def __init__(self, folder: LabFolder, store: ArtifactStore) -> None:
        self._store = store
        self.trusted_keys = folder.keys / "trusted.pem"
        """Whose signatures of models count."""

    def model(self, name: str) -> RegisteredModel | None:
        """The registered model of that name, None when there is none."""
        found = _or_none(lambda: _registry().get_registered_model(name))
        if found is None:
            return None
        aliases = {alias: str(version) for alias, version in found.aliases.items()}
        created = str(found.creation_timestamp or "")
        return RegisteredModel(str(found.name), str(found.tags.get(TEAM, "")), aliases, created)

    def version(self, name: str, version: str) -> Version | None:
        """A version with its run's metrics and the digest of its file now; None when there is none."""
        found = _or_none(lambda: _registry().get_model_version(name, version))
        if found is None:
            return None
        uri = str(_registry().get_model_version_download_uri(name, version))
        file = model_file(self._files(uri))
        return Version(
            name=str(found.name),
            version=str(found.version),
            run_id=str(found.run_id or ""),
            source=str(found.source or ""),
            tags={str(key): str(value) for key, value in found.tags.items()},
            metrics=_metrics(found.run_id),
            onnx_sha256=file_sha256(file) if file else None,
        )

    def names(self) -> list[str]:
        """Names of all registered models."""
        return sorted(
            str(model.name) for model in _pages(lambda token: _registry().search_registered_models(page_token=token))
        )

    def tags(self, name: str) -> dict[str, dict[str, str]]:
        """Tags of every version of a model, by version; empty when there is no such model."""
        return {
            str(found.version): {str(key): str(value) for key, value in found.tags.items()}
            for found in _versions(f"name='{_quoted(name)}'")
        }

    def origins(self, name: str | None = None) -> list[Origin]:
        """Where every registered version comes from, of one model or of all."""
        wanted = None if name is None else f"name='{_quoted(name)}'"
        return [self._origin(found) for found in _versions(wanted)]

    def _origin(self, found: Any) -> Origin:
        return Origin(
            name=str(found.name),
            version=str(found.version),
            run_id=str(found.run_id or ""),
            model_id=str(found.model_id or "") or _logged_model_id(str(found.source or "")),
            path=str(self.path(str(found.source or "")) or ""),
        )

    def path(self, source: str) -> PurePosixPath | None:
        """Where in the own store a version's source leads to; None when that is somewhere else."""
        return self._store.path(_location(source))

    def files(self, source: str) -> Path | None:
        """Folder with the files that a version's source leads to now; None when they are not in the own store.

        Raises:
            UnavailableError: the store does not answer.
            RefusedError: what lies there can't be looked at.
        """
        return self._files(_location(source))

    def _files(self, uri: str) -> Path | None:
        path = self._store.path(uri)
        return None if path is None else self._store.folder(path)

    def experiment(self, run_id: str) -> str:
        """Id of a run's experiment; empty when there is no such run."""
        from mlflow.server import handlers

        run = _or_none(lambda: handlers._get_tracking_store().get_run(run_id)) if run_id else None
        return str(run.info.experiment_id) if run else ""

    def experiment_of_place(self, source: str) -> str:
        """Id of the experiment whose folder a version's source lies in; empty when it is not in the own store."""
        where = self.path(source)
        return where.parts[0] if where and where.parts else ""

    def experiment_team(self, experiment_id: str) -> str | None:
        """The team that an experiment belongs to; empty when it is nobody's, None when there is no such experiment."""
        from mlflow.server import handlers

        found = _or_none(lambda: handlers._get_tracking_store().get_experiment(experiment_id))
        return str(found.tags.get(TEAM, "")) if found else None

    def experiment_named(self, name: str) -> str:
        """Id of the experiment of that name; empty when there is none."""
        from mlflow.server import handlers

        found = _or_none(lambda: handlers._get_tracking_store().get_experiment_by_name(name))
        return str(found.experiment_id) if found else ""

    def experiment_of_logged_model(self, model_id: str) -> str:
        """Id of a logged model's experiment; empty when there is no such model."""
        from mlflow.server import handlers

        found = _or_none(lambda: handlers._get_tracking_store().get_logged_model(model_id, allow_deleted=True))
        return str(found.experiment_id) if found else ""

    def delete_version_tag(self, name: str, version: str, key: str) -> None:
        """Take a version's tag away, past the gate."""
        _registry().delete_model_version_tag(name, version, key)

    def tag_version(self, name: str, version: str, key: str, value: str) -> None:
        """Set a version's tag, past the gate."""
        from mlflow.entities.model_registry import ModelVersionTag

        _registry().set_model_version_tag(name, version, ModelVersionTag(key, value))

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias away, past the gate."""
        _registry().delete_registered_model_alias(name, alias)

    def tag_model(self, name: str, key: str, value: str) -> None:
        """Set a registered model's tag, past the gate."""
        from mlflow.entities.model_registry import RegisteredModelTag

        _registry().set_registered_model_tag(name, RegisteredModelTag(key, value))


def _registry() -> Any:
    from mlflow.server import handlers

    return handlers._get_model_registry_store()


def _pages(read: Callable[[str | None], Any]) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = read(token)
        yield from page
        if not (token := page.token or None):
            return


def _versions(filter_string: str | None) -> Iterator[Any]:
    return _pages(lambda token: _registry().search_model_versions(filter_string, page_token=token))


def _quoted(name: str) -> str:
    """A name inside a filter's single quotes.

    Raises:
        UserError: MLflow's filters have no way to write it.
    """
    if "'" in name:
        raise UserError(f"The name {name!r} has a quote in it.", "Use letters, digits, dot, _ and -.")
    return name


def _logged_model_id(source: str) -> str:
    found = re.fullmatch(r"models:/(m-[^/]+)(/.*)?", source)
    return found[1] if found else ""


def _location(source: str) -> str:
    """The store's URI behind a source; `models:/…` names a logged model or another version."""
    from mlflow.server import handlers

    if model_id := _logged_model_id(source):
        model = _or_none(lambda: handlers._get_tracking_store().get_logged_model(model_id))
        return str(model.artifact_location) if model else ""
    if found := re.fullmatch(r"models:/([^/@]+)/(\d+)", source):
        uri = _or_none(lambda: _registry().get_model_version_download_uri(found[1], found[2]))
        return _location(str(uri)) if uri and str(uri) != source else ""
    return source


def _metrics(run_id: str | None) -> dict[str, float]:
    from mlflow.server import handlers

    if not run_id:
        return {}
    run = _or_none(lambda: handlers._get_tracking_store().get_run(run_id))
    return {str(k): float(v) for k, v in run.data.metrics.items()} if run else {}


def _or_none(read: Any) -> Any:
    """What `read` returns; None when MLflow says that it does not exist or the name can't be one."""
    from mlflow.exceptions import MlflowException

    try:
        return read()
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
