"""One real registry for this folder's tests: MLflow inside the gate."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archlab.identity import create_keys
from archlab.policy.bundle import publish
from archlab.settings import LabFolder
from gated_registry import Control, Registry, running
from red_team import Target
from registry_client import Client


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabFolder]:
    """A lab's folder with keys, rules and two models of a scenario."""
    found = LabFolder(tmp_path_factory.mktemp("registry") / "lab")
    create_keys(found)
    models = [{"name": "departure-delay", "team": "operations"}, {"name": "block-time", "team": "revenue"}]
    features = [{"view": "weather"}, {"view": "origin_ops"}]
    found.scenario.write_text(json.dumps({"models": models, "features": features}))
    (found.root / "known_columns.json").write_text(json.dumps({"departure-delay": ["hour", "distance"]}))
    publish(found)
    found.run.mkdir(parents=True, exist_ok=True, mode=0o700)
    yield found
    for left in found.run.iterdir():
        left.unlink()
    found.run.rmdir()


@pytest.fixture(scope="session")
def control(folder: LabFolder) -> Iterator[Control]:
    """Control's stand-in over a unix socket."""
    found = Control(folder)
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def registry(folder: LabFolder, control: Control, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """MLflow in the gate, with its own database."""
    with running(folder, control, tmp_path_factory.mktemp("log")) as found:
        yield found


@pytest.fixture
def become(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Whom the plain MLflow client speaks as from now on."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.url)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    def as_user(name: str) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", registry.token(name))

    return as_user


@pytest.fixture
def client(registry: Registry, become: Callable[[str], None], tmp_path: Path) -> Client:
    """The plain client, as whoever it becomes."""
    return Client(registry, become, tmp_path)


@pytest.fixture
def name() -> str:
    """A model of its own, of team operations by its creator."""
    return f"model-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def target(registry: Registry, client: Client) -> Target:
    """What ways round the gate are tried on."""
    name = f"target-{uuid.uuid4().hex[:8]}"
    version, run = client.register(name, auc=0.9)
    return Target(registry, client, name, version, run)
