"""The plain MLflow client as one of the test's users."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gated_registry import GOOD_TAGS, Registry
from model_folders import GRAPH, fill


@dataclass(frozen=True)
class Client:
    """MlflowClient, made anew so that it takes the tracking address of this test."""

    registry: Registry
    become: Callable[[str], None]
    files: Path

    @property
    def mlflow(self) -> Any:
        """The plain client."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.registry.url, registry_uri=self.registry.url)

    def register(
        self,
        name: str,
        *,
        user: str = "ada",
        auc: float = 0.78,
        content: bytes = GRAPH,
        without: tuple[str, ...] = (),
        tags: dict[str, str] | None = None,
        files: dict[str, bytes] | None = None,
        signed: bool = True,
        bill: bytes | None = None,
    ) -> tuple[str, str]:
        """A run with a metric and a model's folder as the pipeline makes it, registered; returns version and run."""
        self.become(user)
        client = self.mlflow
        run = client.create_run(client.create_experiment(uuid.uuid4().hex))
        client.log_metric(run.info.run_id, "auc", auc)
        client.log_metric(run.info.run_id, "holdout_rows", 2000)
        key = self.registry.folder.keys / "signing.pem" if signed else None
        folder = fill(self.files / run.info.run_id, content, key=key, files=files, bill=bill)
        client.log_artifacts(run.info.run_id, str(folder), "model")
        if not client.search_registered_models(f"name='{name}'"):
            client.create_registered_model(name)
        given = {**GOOD_TAGS, **(tags or {})}
        version = client.create_model_version(
            name,
            f"{run.info.artifact_uri}/model",
            run.info.run_id,
            tags={key: value for key, value in given.items() if key not in without},
        )
        return str(version.version), str(run.info.run_id)

    def approve(self, name: str, version: str, user: str = "grace") -> None:
        """Set the approval tag in the user's own name."""
        self.become(user)
        self.mlflow.set_model_version_tag(name, version, "archlab.approved_by", user)

    def promote(self, name: str, version: str, user: str = "ada", alias: str = "champion") -> None:
        """Set the alias."""
        self.become(user)
        self.mlflow.set_registered_model_alias(name, alias, version)

    def refused(self, change: Callable[[], object]) -> str:
        """The message of the RestException that a change ends with."""
        from mlflow.exceptions import RestException

        with pytest.raises(RestException) as caught:
            change()
        assert caught.value.error_code == "PERMISSION_DENIED"
        return str(caught.value)
