"""A lab's folder, and control as the process it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from archlab.files import write_model
from archlab.identity import create_keys
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.settings import LabFolder, scenarios_root
from archlab.spec.scenario import Overrides, Scenario
from control_process import Control
from mlflow_server import MlflowServer
from released import MODEL, ONNX, TAGS, allow


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    return load_scenario(scenarios_root() / "ten_models" / "scenario.yaml")


@contextmanager
def made_folder(scenario: Scenario) -> Iterator[LabFolder]:
    root = Path(tempfile.mkdtemp(prefix="al-")) / "lab"
    lab = LabFolder(root)
    create_keys(lab)
    lab.run.mkdir(mode=0o700)
    write_model(lab.scenario, scenario)
    write_model(lab.plan, layout("lab", scenario, 1, Overrides()))
    yield lab
    shutil.rmtree(lab.run, ignore_errors=True)
    shutil.rmtree(root.parent, ignore_errors=True)


@pytest.fixture
def folder(scenario: Scenario) -> Iterator[LabFolder]:
    """A lab's folder with keys, scenario and plan, in a short path."""
    with made_folder(scenario) as lab:
        yield lab


@pytest.fixture(scope="module")
def idle(scenario: Scenario) -> Iterator[Control]:
    """One control for tests that leave it as it is."""
    with made_folder(scenario) as lab:
        running = Control(lab).start()
        yield running
        running.stop()


@pytest.fixture
def control(folder: LabFolder) -> Iterator[Control]:
    running = Control(folder).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shared_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    root = tmp_path_factory.mktemp("registry")
    server = MlflowServer(root, root / "s.sock")
    yield server
    server.stop()


@pytest.fixture
def registry(shared_registry: MlflowServer, folder: LabFolder) -> Iterator[MlflowServer]:
    """The registry at the lab's socket, without models."""
    folder.socket("registry").symlink_to(shared_registry.socket)
    shared_registry.trusted_by(folder)
    yield shared_registry
    for model in (MODEL, "departure-delay"):
        with shared_registry.client() as client:
            client.request("DELETE", "/mlflow/api/2.0/mlflow/registered-models/delete", json={"name": model})


@pytest.fixture
def online(control: Control, registry: MlflowServer) -> str:
    """Version of the model that is released online."""
    version = registry.register(MODEL, ONNX, TAGS)
    registry.alias(MODEL, "champion", version)
    allow(control, version, ONNX)
    control.post("/releases/reconcile")
    return version
