"""The ordinary client against a real MLflow store; the gate in front of it is tested with the registry."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from archlab import bom, settings, signing
from archlab.identity import create_keys
from archlab.pipelines import register, train
from archlab.settings import LabFolder
from archlab.spec.devices import NodeSupport

pytestmark = pytest.mark.slow
MODEL = "arrival-delay"


def test_a_version_carries_its_file_and_its_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    trained = train.trained(settings.home() / "cache", "airline", tmp_path, MODEL)
    folder = LabFolder(tmp_path / "lab")
    create_keys(folder)
    key = folder.keys / "signing.pem"
    version = register.register(trained, owner="learner", team="operations", key=key)
    assert register.register(trained, owner="learner", team="operations", key=key) == version == "1"
    found = MlflowClient().get_model_version(MODEL, version)
    columns = json.loads(found.tags["archlab.columns"])
    assert [column["name"] for column in columns] == [column.name for column in trained.card.columns]
    assert float(found.tags["archlab.baseline"]) == trained.card.baseline
    assert NodeSupport.model_validate_json(found.tags["archlab.device_support"]).gains
    assert found.tags["archlab.feature_service"] == "arrival_delay"
    local = Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{version}", dst_path=str(tmp_path / "got")))
    assert hashlib.sha256((local / "model.onnx").read_bytes()).hexdigest() == trained.card.sha256
    (local / "registered_model_meta").unlink()  # MLflow adds it to what it downloads
    assert signing.check(local, folder.keys / "trusted.pem").state == signing.VALID
    described = bom.summary(json.loads((local / bom.FILE).read_bytes()))
    assert described["model_sha256"] == trained.card.sha256
    assert described["datasets"] == [found.tags["archlab.data_digest"]]
    logged = MlflowClient().get_run(str(found.run_id)).data
    assert logged.metrics["mae"] == pytest.approx(trained.card.value)
    assert logged.params["max_iter"] == "12"
    signature = mlflow.models.get_model_info(f"models:/{MODEL}/{version}").signature
    assert signature.inputs.inputs[0].shape == (-1, len(columns))
