"""Ways round the gate of one running registry: a version that was never approved, and what a refusal has to leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gated_registry import GOOD_TAGS, Registry
from registry_client import Client

API = "/api/2.0/mlflow"
ALIAS = f"{API}/registered-models/alias"
STAGE = f"{API}/model-versions/transition-stage"
TAG = f"{API}/model-versions/set-tag"
CREATE = f"{API}/model-versions/create"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Target:
    """A registered version that was never approved, by a developer of the team that owns it."""

    registry: Registry
    client: Client
    name: str
    version: str
    run: str

    def promotion(self, **changed: Any) -> dict[str, Any]:
        return {"name": self.name, "alias": "champion", "version": self.version, **changed}

    def send(
        self, path: str = ALIAS, body: Any = None, *, method: str = "POST", user: str = "ada", **more: Any
    ) -> Answer:
        return self.registry.call(user, method, path, self.promotion() if body is None else body, **more)

    def bearing(self, token: str) -> Answer:
        return self.send(headers={"Authorization": f"Bearer {token}"})

    def tag(self, key: str, value: str, user: str = "ops", **body: Any) -> Answer:
        named = {"name": self.name, "version": self.version, "key": key, "value": value, **body}
        return self.send(TAG, named, user=user)

    def with_evidence(self, *, auc: float = 0.9, **tags: str) -> Answer:
        """An approved version with this evidence, promoted."""
        full = {**GOOD_TAGS, **{f"archlab.{key}": value for key, value in tags.items()}}
        body = {
            "name": self.name,
            "source": f"mlflow-artifacts:/{self.place}/model",
            "run_id": self.run,
            "tags": [{"key": key, "value": value} for key, value in full.items()],
        }
        status, made = self.send(CREATE, body)
        assert status == 200, made
        version = made["model_version"]["version"]
        grace = {"name": self.name, "version": version, "key": "archlab.approved_by", "value": "grace"}
        assert self.send(TAG, grace, user="grace")[0] == 200
        return self.send(body=self.promotion(version=version))

    @property
    def place(self) -> str:
        uri: str = self.client.mlflow.get_run(self.run).info.artifact_uri
        return uri.partition(":/")[2]


def text(target: Target, **changed: Any) -> str:
    return json.dumps(target.promotion(**changed))


def after_approval(target: Target, change: Callable[[], object]) -> Answer:
    """Approve, change what was approved, promote."""
    assert target.tag("archlab.approved_by", "grace", user="grace")[0] == 200
    target.client.become("ada")
    change()
    return target.send()


def overwrite(target: Target) -> None:
    file = Path(target.client.files) / "model.onnx"
    file.write_bytes(b"another file")
    target.client.mlflow.log_artifact(target.run, str(file), "model")


def registers(target: Target, source: str) -> Answer:
    return target.send(CREATE, {"name": target.name, "source": source, "run_id": target.run})


def champion(target: Target) -> None:
    assert target.tag("archlab.approved_by", "grace", user="grace")[0] == 200
    assert target.send()[0] == 200


def against_champion(target: Target, method: str, path: str, **body: Any) -> Answer:
    champion(target)
    return target.send(path, {"name": target.name, **body}, method=method)


def denied(target: Target, answer: Answer) -> None:
    """A rule said no, the decision is on record, and nothing has changed."""
    status, said = answer
    assert (status, said["error_code"]) == (403, "PERMISSION_DENIED"), said
    last = target.registry.control.records[-1]
    assert not last.decision.allow
    assert last.decision.reasons
    assert last.decision.engine.startswith("embedded regopy")
    unchanged(target)


def unchanged(target: Target) -> None:
    """Nobody became champion who was not approved; a champion stayed."""
    allowed = {
        record.query.resource.version
        for record in target.registry.control.records
        if record.query.action == "promotion/champion"
        and record.query.resource.name == target.name
        and record.decision.allow
    }
    target.client.become("viewer")
    held = target.client.mlflow.get_registered_model(target.name).aliases
    assert {str(version) for alias, version in held.items() if alias.lower() == "champion"} == allowed
    assert not set(held) - {"champion"}
