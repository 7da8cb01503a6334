from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from archlab.errors import UserError
from archlab.registry.bucket import Bucket
from archlab.registry.store import DESTINATION, ArtifactStore, FolderStore, artifact_store
from archlab.settings import LabFolder

OWN = PurePosixPath("1/models/m-1/artifacts")
ELSEWHERE = (
    *("mlflow-artifacts:/../..", "mlflow-artifacts:/", "mlflow-artifacts:///", "models:/m/1", "s3://models/1/models"),
    *("mlflow-artifacts://other/1/models", "file:///tmp/models", "/1/models", ""),
)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return FolderStore(tmp_path) if request.param == "folder" else Bucket("s3://models/lab")


def test_only_uris_of_the_own_store_lead_into_it(store: ArtifactStore) -> None:
    assert store.path(f"mlflow-artifacts:/{OWN}") == OWN
    assert store.path(f"mlflow-artifacts:///{OWN}/") == OWN
    for uri in ELSEWHERE:
        assert store.path(uri) is None, uri


def test_a_link_that_leads_out_of_the_folder_is_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "out").symlink_to(tmp_path)
    assert FolderStore(tmp_path / "store").path("mlflow-artifacts:/out/secret") is None


def test_the_store_is_the_one_that_mlflows_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DESTINATION, raising=False)
    lab = LabFolder(tmp_path / "lab")
    own = artifact_store(lab)
    assert own.folder(OWN) == lab.registry / "artifacts" / OWN
    monkeypatch.setenv(DESTINATION, "s3://models/lab")
    assert isinstance(artifact_store(lab), Bucket)
    monkeypatch.setenv(DESTINATION, "gs://models/lab")
    with pytest.raises(UserError, match="can't be kept at gs://models/lab"):
        artifact_store(lab)
