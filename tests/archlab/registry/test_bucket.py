"""The gated registry whose model files are in a bucket: what the chart's `registry.artifacts` brings about."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import pytest
from mlflow.store.artifact.s3_artifact_repo import _cached_get_s3_client

from archlab.errors import RefusedError, UnavailableError
from archlab.registry import bucket as buckets
from archlab.registry.artifacts import MOST_FILES
from archlab.registry.bucket import Bucket
from archlab.settings import LabFolder
from gated_registry import Control, Registry, running
from model_folders import GRAPH
from registry_client import Client
from s3_server import BUCKET, S3, VERSITYGW, WITHOUT, s3_server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not VERSITYGW, reason=WITHOUT)]
PRESIGNED = "mlflow-artifacts/presigned"


@pytest.fixture(scope="module")
def store() -> Iterator[S3]:
    with tempfile.TemporaryDirectory(prefix="archlab-s3-") as place, s3_server(Path(place)) as found:
        yield found


@pytest.fixture(scope="module")
def in_bucket(
    folder: LabFolder, control: Control, store: S3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    with running(folder, control, tmp_path_factory.mktemp("log"), **store.variables) as found:
        yield found


@pytest.fixture
def speaks(in_bucket: Registry, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", in_bucket.url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return lambda user: monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", in_bucket.token(user))


@pytest.fixture
def client(in_bucket: Registry, speaks: Callable[[str], None], tmp_path: Path) -> Client:
    return Client(in_bucket, speaks, tmp_path)


def keys_of(store: S3, run: str) -> list[str]:
    found = store.client.list_objects_v2(Bucket=BUCKET)["Contents"]
    return sorted(entry["Key"] for entry in found if run in entry["Key"])


def test_files_are_in_the_bucket_and_the_gate_measures_them_there(
    client: Client, store: S3, folder: LabFolder, name: str
) -> None:
    version, run = client.register(name)
    keys = keys_of(store, run)
    assert [key.rpartition("/")[2] for key in keys] == ["bom.cdx.json", "model.onnx", "model.sig"]
    assert all(key.startswith("lab/") for key in keys)
    assert not list((folder.registry / "artifacts").rglob(f"*{run}*"))
    tags = client.mlflow.get_model_version(name, version).tags
    assert tags["archlab.sha256"] == hashlib.sha256(GRAPH).hexdigest()
    client.approve(name, version)
    client.promote(name, version)
    assert client.mlflow.get_registered_model(name).aliases == {"champion": version}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"signed": False}, "supply_chain/signed_by_trusted_key"),
        ({"files": {"helper.pkl": b"\x80\x04."}}, "supply_chain/no_executable_files"),
        ({"content": b"no graph"}, "supply_chain/self_contained_graph"),
    ],
)
def test_what_is_wrong_in_a_bucket_is_refused_as_on_a_disk(
    client: Client, name: str, change: dict[str, object], rule: str
) -> None:
    assert rule in client.refused(lambda: client.register(name, **change))  # type: ignore[arg-type]


def test_an_object_changed_in_the_bucket_afterwards_is_no_champion(client: Client, store: S3, name: str) -> None:
    version, run = client.register(name)
    client.approve(name, version)
    key = next(key for key in keys_of(store, run) if key.endswith("model.onnx"))
    store.client.put_object(Bucket=BUCKET, Key=key, Body=GRAPH + b"\0")
    message = client.refused(lambda: client.promote(name, version))
    assert "supply_chain/signed_by_trusted_key" in message
    store.client.put_object(Bucket=BUCKET, Key=key, Body=GRAPH)
    client.promote(name, version)


def test_another_bucket_or_prefix_is_not_the_own_store(client: Client, name: str) -> None:
    _, run = client.register(name)
    for source in (f"s3://{BUCKET}/lab/1/{run}/artifacts/model", "mlflow-artifacts://other/1"):
        message = client.refused(lambda s=source: client.mlflow.create_model_version(name, s, run))  # type: ignore[misc]
        assert "supply_chain/source_in_store" in message


def test_the_files_of_a_registered_version_stay(client: Client, store: S3, in_bucket: Registry, name: str) -> None:
    _, run = client.register(name)
    keys = keys_of(store, run)
    path = keys[0].removeprefix("lab/").rpartition("/")[0]
    for gone in (path, path.rpartition("/")[0]):
        status, said = in_bucket.call("ada", "DELETE", f"/api/2.0/mlflow-artifacts/artifacts/{gone}")
        assert (status, said["error_code"]) == (403, "PERMISSION_DENIED")
    assert keys_of(store, run) == keys


def test_what_was_logged_is_read_back_through_the_registry(
    client: Client, in_bucket: Registry, tmp_path: Path, name: str
) -> None:
    _, run = client.register(name)
    found = client.mlflow.download_artifacts(run, "model", str(tmp_path))
    assert (Path(found) / "model.onnx").read_bytes() == GRAPH


def test_nobody_is_given_an_address_in_the_bucket(client: Client, in_bucket: Registry, store: S3, name: str) -> None:
    _, run = client.register(name)
    path = keys_of(store, run)[0].removeprefix("lab/")
    asked = [
        in_bucket.call("ada", "GET", f"/api/2.0/{PRESIGNED}/{path}"),
        in_bucket.call("ada", "POST", f"/api/2.0/mlflow-artifacts/mpu/create/{path}", {"path": path, "num_parts": 2}),
        in_bucket.call(
            *("ada", "POST", "/api/2.0/mlflow/artifacts/presigned-download-url", {"run_id": run, "path": "model"})
        ),
        in_bucket.call(
            *("ada", "POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", {"run_id": run, "path": "model"})
        ),
    ]
    for status, said in asked:
        assert status >= 400, said
        assert "Signature" not in str(said)
    _, capabilities = in_bucket.call("ada", "GET", "/api/3.0/mlflow/server-info")
    assert "true" not in {str(v).lower() for k, v in capabilities.items() if "multipart" in k}


@pytest.fixture
def looked(store: S3, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for variable, value in store.variables.items():
        monkeypatch.setenv(variable, value)
    _cached_get_s3_client.cache_clear()
    return Bucket(f"s3://{BUCKET}/looked")


def put(store: S3, **objects: bytes) -> None:
    for key, content in objects.items():
        store.client.put_object(Bucket=BUCKET, Key=f"looked/{key}", Body=content)


def test_a_copy_is_fetched_again_only_when_an_object_changed(looked: Bucket, store: S3) -> None:
    where = PurePosixPath("again")
    assert looked.folder(where) is None
    put(store, **{"again/a": b"1", "again/below/b": b"2", "again/": b"", "against": b"3"})
    first = looked.folder(where)
    assert first is not None
    assert {str(p.relative_to(first)): p.read_bytes() for p in first.rglob("*") if p.is_file()} == {
        "a": b"1",
        "below/b": b"2",
    }
    assert looked.folder(where) == first
    put(store, **{"again/a": b"4"})
    second = looked.folder(where)
    assert second is not None
    assert (second / "a").read_bytes() == b"4"
    assert not first.exists()
    store.client.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": f"looked/again/{k}"} for k in ("a", "below/b", "")]}
    )
    assert looked.folder(where) is None
    assert not second.exists()


def test_copies_do_not_pile_up(looked: Bucket, store: S3) -> None:
    put(store, **{f"many/{number}/a": b"1" for number in range(buckets.COPIES + 1)})
    folders = [looked.folder(PurePosixPath("many") / str(number)) for number in range(buckets.COPIES + 1)]
    assert [f for f in folders if f is not None and not f.exists()] == folders[:1]


def test_more_files_than_are_looked_at_are_refused(looked: Bucket, store: S3) -> None:
    put(store, **{f"crowd/{number}": b"1" for number in range(MOST_FILES + 1)})
    with pytest.raises(RefusedError, match=f"has {MOST_FILES + 1} files or more"):
        looked.folder(PurePosixPath("crowd"))


def test_a_bucket_that_is_not_there_is_one_message(looked: Bucket) -> None:
    looked.check()
    nowhere = Bucket("s3://nowhere")
    with pytest.raises(UnavailableError, match="The bucket nowhere that model files are in can't be read"):
        nowhere.folder(PurePosixPath("a"))
    with pytest.raises(UnavailableError, match="The bucket nowhere that model files are in can't be read"):
        nowhere.check()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"_MLFLOW_SERVER_ARTIFACT_DESTINATION": "s3://nowhere/lab"},
            "The bucket nowhere .* can't be read: .*NoSuchBucket",
        ),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, f"The bucket {BUCKET} .* can't be read: .*SignatureDoesNotMatch"),
    ],
)
def test_a_registry_whose_bucket_can_not_be_read_does_not_start_and_says_why(
    folder: LabFolder, control: Control, store: S3, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    with (
        pytest.raises(AssertionError, match=said),
        running(folder, control, tmp_path, **{**store.variables, **change}),
    ):
        pytest.fail("it started")


def test_while_the_store_is_away_nothing_is_promoted(
    folder: LabFolder, control: Control, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with ExitStack() as served:
        place = Path(served.enter_context(tempfile.TemporaryDirectory(prefix="archlab-s3-")))
        away = ExitStack()
        store = away.enter_context(s3_server(place))
        own = served.enter_context(running(folder, control, tmp_path, **store.variables, AWS_MAX_ATTEMPTS="1"))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", own.url)
        client = Client(own, lambda user: monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", own.token(user)), tmp_path)
        version, _ = client.register(name)
        client.approve(name, version)
        away.close()
        body = {"name": name, "alias": "champion", "version": version}
        status, said = own.call("ada", "POST", "/api/2.0/mlflow/registered-models/alias", body)
        assert status == 503
        assert f"The bucket {BUCKET} that model files are in can't be read" in said["message"]
        client.become("ada")
        assert client.mlflow.get_registered_model(name).aliases == {}
