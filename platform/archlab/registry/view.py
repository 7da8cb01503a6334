"""MLflow's own store, read and tagged in the registry's process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from archlab.registry.artifacts import model_file, sha256_of
from archlab.registry.evidence import TEAM, Version
from archlab.settings import LabFolder


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model, as far as the gate cares."""

    name: str
    team: str
    """From its tag; empty when it has none."""
    aliases: dict[str, str]


class RegistryView:
    """Facts from MLflow's stores; import MLflow first. Blocking: call it in a thread."""

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder

    def model(self, name: str) -> RegisteredModel | None:
        """The registered model of that name, None when there is none."""
        found = _or_none(lambda: _registry().get_registered_model(name))
        if found is None:
            return None
        aliases = {alias: str(version) for alias, version in found.aliases.items()}
        return RegisteredModel(str(found.name), str(found.tags.get(TEAM, "")), aliases)

    def version(self, name: str, version: str) -> Version | None:
        """A version with its run's metrics and the digest of its file now; None when there is none."""
        found = _or_none(lambda: _registry().get_model_version(name, version))
        if found is None:
            return None
        uri = str(_registry().get_model_version_download_uri(name, version))
        file = model_file(self._folder, uri)
        return Version(
            name=str(found.name),
            version=str(found.version),
            run_id=str(found.run_id or ""),
            source=str(found.source or ""),
            tags={str(key): str(value) for key, value in found.tags.items()},
            metrics=_metrics(found.run_id),
            onnx_sha256=sha256_of(file) if file else None,
        )

    def tag_version(self, name: str, version: str, key: str, value: str) -> None:
        """Set a version's tag, past the gate."""
        from mlflow.entities.model_registry import ModelVersionTag

        _registry().set_model_version_tag(name, version, ModelVersionTag(key, value))

    def tag_model(self, name: str, key: str, value: str) -> None:
        """Set a registered model's tag, past the gate."""
        from mlflow.entities.model_registry import RegisteredModelTag

        _registry().set_registered_model_tag(name, RegisteredModelTag(key, value))


def _registry() -> Any:
    from mlflow.server import handlers

    return handlers._get_model_registry_store()


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
