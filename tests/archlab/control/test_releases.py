"""From a real MLflow registry and the decision log to the feed that servers follow."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tests.archlab_serving.signatures import signed_model

from archlab.files import write_model
from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.settings import LabFolder
from archlab.spec.release import Release, ReleaseFeed, ReleaseKind
from archlab.spec.scenario import Mode, ModelOverride, Overrides, Scenario
from archlab_serving.model_signature import check_model, read_keys
from control_process import START, Control
from mlflow_server import MlflowServer, tags

pytestmark = pytest.mark.slow
MODEL = "flight-time"
STRANGER = ec.generate_private_key(ec.SECP256R1())
TAGS = tags([("distance", "request"), ("route_air_time_28d", "route_daily")], ["route"])
ONNX = b"not really a graph, but nobody here opens it"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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


def allow(control: Control, version: str, content: bytes, *, alias: str = "champion", allow: bool = True) -> str:
    """Record a decision about a version; returns its id."""
    query = {
        "subject": {"user": "learner", "team": "platform", "roles": ["developer"]},
        "action": f"promotion/{alias}",
        "resource": {"kind": "model-version", "name": MODEL, "version": version, "digest": sha256(content)},
        "evidence": {},
        "time": START.isoformat(),
    }
    reasons = [] if allow else [{"rule": "r", "code": "c", "message": "no"}]
    decision = {"allow": allow, "reasons": reasons, "engine": "embedded", "bundle_digest": "b" * 64}
    return str(control.post("/decisions", {"query": query, "decision": decision})["id"])


def feed(control: Control) -> ReleaseFeed:
    """As servers read it, and as control answers it."""
    written = ReleaseFeed.model_validate_json((control.folder.releases / "feed.json").read_bytes())
    assert written == ReleaseFeed.model_validate(control.get("/releases"))
    return written


def check_signature(control: Control, release: Release) -> None:
    key = load_pem_public_key((control.folder.keys / "release.pub.pem").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    statement = json.dumps(release.statement(), sort_keys=True, separators=(",", ":")).encode()
    key.verify(base64.b64decode(release.signature), statement)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(release.signature), statement + b" ")


def test_an_allowed_champion_becomes_a_signed_release_once(control: Control, registry: MlflowServer) -> None:
    version = registry.register(MODEL, ONNX, TAGS)
    registry.alias(MODEL, "champion", version)
    decision = allow(control, version, ONNX)
    done = control.post("/releases/reconcile")
    assert done == {"sequence": 1, "published": [f"{MODEL}:{version}"], "refused": []}
    (release,) = feed(control).releases
    assert (release.kind, release.pool, release.role, release.weight) == (ReleaseKind.ONNX, "online", "champion", 100)
    assert release.decision_id == decision
    assert release.sha256 == release.decision_sha256 == release.source_sha256 == sha256(ONNX)
    assert (control.folder.releases / release.path).read_bytes() == ONNX
    assert [(c.name, c.source) for c in release.columns][1] == ("route_air_time_28d", "route_daily")
    assert release.keys == ("route",)
    check_signature(control, release)
    keys = read_keys(control.folder.keys / "trusted.pem")
    assert check_model(release.model_signature, sha256(ONNX), keys).files == {"model.onnx": sha256(ONNX)}
    assert control.post("/releases/reconcile") == {"sequence": 1, "published": [], "refused": []}
    champion = control.get(f"/champions/{MODEL}")
    assert (champion["version"], champion["sha256"], champion["path"]) == (version, release.sha256, release.path)
    assert champion["keys"] == ["route"]


def test_without_an_allow_decision_nothing_is_released(control: Control, registry: MlflowServer) -> None:
    version = registry.register(MODEL, ONNX, TAGS)
    registry.alias(MODEL, "champion", version)
    allow(control, version, ONNX, allow=False)
    allow(control, version, ONNX, alias="challenger")
    allow(control, f"{version}7", ONNX)
    (refused,) = control.post("/releases/reconcile")["refused"]
    assert (refused["model"], refused["version"]) == (MODEL, version)
    assert "no allow decision" in refused["reason"]
    assert feed(control).releases == ()
    with control.client() as client:
        assert client.get(f"/champions/{MODEL}").status_code == 403


def test_a_file_that_is_not_the_one_decided_on_is_refused_and_the_last_good_one_stays(
    control: Control, registry: MlflowServer
) -> None:
    first = registry.register(MODEL, ONNX, TAGS)
    registry.alias(MODEL, "champion", first)
    allow(control, first, ONNX)
    control.post("/releases/reconcile")
    second = registry.register(MODEL, ONNX + b"2", TAGS)
    registry.tamper(MODEL, second, ONNX + b"swapped")
    registry.alias(MODEL, "champion", second)
    allow(control, second, ONNX + b"2")
    done = control.post("/releases/reconcile")
    assert done["sequence"] == 1
    assert "digest" in done["refused"][0]["reason"]
    assert [r.version for r in feed(control).releases] == [first]


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        (b"", "is not signed"),
        (b"{}", "not a signature of a model"),
        (signed_model({"model.onnx": sha256(b"another")}, STRANGER).encode(), "which is not trusted here"),
    ],
)
def test_a_version_that_no_trusted_key_signed_is_not_released_whatever_was_decided(
    control: Control, registry: MlflowServer, file: bytes, fault: str
) -> None:
    version = registry.register(MODEL, ONNX, TAGS)
    registry.tamper(MODEL, version, file, "model.sig")
    registry.alias(MODEL, "champion", version)
    allow(control, version, ONNX)
    assert fault in control.post("/releases/reconcile")["refused"][0]["reason"]
    assert feed(control).releases == ()
    with control.client() as client:
        assert client.get(f"/champions/{MODEL}").status_code == 403


def test_the_signature_is_about_the_file_that_was_decided_on(control: Control, registry: MlflowServer) -> None:
    first, second = registry.register(MODEL, ONNX, TAGS), registry.register(MODEL, ONNX + b"2", TAGS)
    registry.alias(MODEL, "champion", first)
    allow(control, first, ONNX)
    control.post("/releases/reconcile")
    registry.tamper(MODEL, second, feed(control).releases[0].model_signature.encode(), "model.sig")
    registry.alias(MODEL, "champion", second)
    allow(control, second, ONNX + b"2")
    assert "the signature is about" in control.post("/releases/reconcile")["refused"][0]["reason"]
    assert [r.version for r in feed(control).releases] == [first]


def decide(control: Control, action: str, version: str = "", **evidence: Any) -> str:
    query = {
        "subject": {"user": "learner", "team": "platform", "roles": ["operator"]},
        "action": action,
        "resource": {"kind": "model-version", "name": MODEL, "version": version},
        "evidence": {"model_created": "1", **evidence},
        "time": START.isoformat(),
    }
    decision = {"allow": True, "reasons": [], "engine": "embedded", "bundle_digest": "b" * 64}
    return str(control.post("/decisions", {"query": query, "decision": decision})["id"])


def test_a_deprecated_release_carries_its_end_under_the_same_signature(control: Control, online: str) -> None:
    (before,) = feed(control).releases
    sunset = START + timedelta(days=20)
    decide(control, "lifecycle/deprecate", sunset=(sunset + timedelta(days=9)).isoformat())
    decide(control, "lifecycle/deprecate", online, sunset=sunset.isoformat())
    assert control.post("/releases/reconcile")["sequence"] == 2
    (release,) = feed(control).releases
    assert (release.deprecated, release.sunset) == (START, sunset)
    assert release.signature == before.signature
    check_signature(control, release)
    decide(control, "lifecycle/reinstate", online)
    control.post("/releases/reconcile")
    assert feed(control).releases[0].sunset == sunset + timedelta(days=9)
    decide(control, "lifecycle/reinstate")
    control.post("/releases/reconcile")
    (after,) = feed(control).releases
    assert after == before.model_copy(update={"created": after.created})


@pytest.mark.parametrize("whole_model", [False, True])
def test_what_is_retired_is_withdrawn_whatever_the_registry_says(
    control: Control, online: str, scenario: Scenario, whole_model: bool
) -> None:
    mirrored = Overrides(models={MODEL: ModelOverride(shadow_percent=100)})
    write_model(control.folder.plan, layout("lab", scenario, 1, mirrored, {MODEL: online}))
    decision = decide(control, "lifecycle/retire", "" if whole_model else online, reason="replaced")
    (refused,) = control.post("/releases/reconcile")["refused"]
    assert refused["reason"] == f"{MODEL} version {online} was retired by decision {decision}"
    assert feed(control).releases == ()
    with control.client() as client:
        assert client.get(f"/champions/{MODEL}").status_code == 403
    (standing,) = control.get(f"/lifecycle?model={MODEL}")
    assert (standing["state"], standing["id"], standing["reason"]) == ("retired", decision, "replaced")


def test_a_table_of_what_is_retired_is_withdrawn(control: Control, online: str, scenario: Scenario) -> None:
    design(control, scenario, Mode.BATCH)
    control.post("/batch-runs", batch_run(online, 1))
    control.post("/releases/reconcile", {"retire": True})
    decide(control, "lifecycle/retire", online)
    control.post("/releases/reconcile", {})
    assert feed(control).releases == ()


def test_the_file_of_a_deleted_version_goes_once_nothing_serves_it(control: Control, online: str) -> None:
    digest = sha256(ONNX)
    decide(control, "retention/delete", online, versions=[{"version": online, "sha256": digest}])
    control.post("/releases/reconcile")
    assert control.get(f"/remains?sha256={digest}") == [f"release {MODEL}:{online}", "the releases' files"]
    decide(control, "lifecycle/retire", online)
    control.post("/releases/reconcile")
    assert control.get(f"/remains?sha256={digest}") == []
    with control.client() as client:
        for wrong in ("", "../../keys/release.pem", "A" * 64):
            assert client.get("/remains", params={"sha256": wrong}).status_code == 400


def test_a_version_without_columns_is_refused(control: Control, registry: MlflowServer) -> None:
    version = registry.register(MODEL, ONNX, {"archlab.keys": "[]"})
    registry.alias(MODEL, "champion", version)
    allow(control, version, ONNX)
    assert "archlab.columns" in control.post("/releases/reconcile")["refused"][0]["reason"]


def test_a_challenger_is_released_beside_the_champion(
    control: Control, registry: MlflowServer, scenario: Scenario
) -> None:
    first, second = registry.register(MODEL, ONNX, TAGS), registry.register(MODEL, ONNX + b"2", TAGS)
    registry.alias(MODEL, "champion", first)
    registry.alias(MODEL, "challenger", second)
    allow(control, first, ONNX)
    allow(control, second, ONNX + b"2", alias="challenger")
    overrides = Overrides(models={MODEL: ModelOverride(canary_percent=20)})
    write_model(control.folder.plan, layout("lab", scenario, 1, overrides, {MODEL: second}))
    control.post("/releases/reconcile")
    assert [(r.role, r.version, r.weight) for r in feed(control).releases] == [
        ("challenger", second, 20),
        ("champion", first, 80),
    ]


def test_a_version_that_the_gateway_names_stays_until_it_does_not(
    control: Control, registry: MlflowServer, scenario: Scenario
) -> None:
    versions = [registry.register(MODEL, ONNX + bytes([n]), TAGS) for n in range(3)]
    for n, version in enumerate(versions):
        allow(control, version, ONNX + bytes([n]), alias="challenger" if n else "champion")
    registry.alias(MODEL, "champion", versions[0])
    registry.alias(MODEL, "challenger", versions[1])
    mirrored = Overrides(models={MODEL: ModelOverride(shadow_percent=100)})
    write_model(control.folder.plan, layout("lab", scenario, 1, mirrored, {MODEL: versions[1]}))
    control.post("/releases/reconcile")
    registry.alias(MODEL, "challenger", versions[2])
    control.post("/releases/reconcile")
    assert {(r.role, r.version) for r in feed(control).releases} == {
        ("champion", versions[0]),
        ("challenger", versions[1]),
        ("challenger", versions[2]),
    }
    check_signature(control, feed(control).releases[0])
    write_model(control.folder.plan, layout("lab", scenario, 1, mirrored, {MODEL: versions[2]}))
    control.post("/releases/reconcile")
    assert {r.version for r in feed(control).releases} == {versions[0], versions[2]}


def test_a_challenger_that_became_the_champion_is_released_once(control: Control, registry: MlflowServer) -> None:
    version = registry.register(MODEL, ONNX, TAGS)
    for alias in ("champion", "challenger"):
        registry.alias(MODEL, alias, version)
        allow(control, version, ONNX, alias=alias)
    control.post("/releases/reconcile")
    assert [(r.role, r.version) for r in feed(control).releases] == [("champion", version)]
    assert control.post("/releases/reconcile") == {"sequence": 1, "published": [], "refused": []}


def design(control: Control, scenario: Scenario, mode: Mode) -> None:
    overrides = Overrides(models={MODEL: ModelOverride(mode=mode)})
    write_model(control.folder.scenario, override(scenario, overrides))
    write_model(control.folder.plan, layout("lab", scenario, 1, overrides))


def batch_run(version: str, number: int, **table: Any) -> dict[str, Any]:
    when = (START + timedelta(hours=number)).isoformat()
    run = {
        "id": f"run-{number}",
        "model": MODEL,
        "version": version,
        "business_time": when,
        "rows": 1,
        "path": f"batch/{MODEL}/run-{number}.parquet",
    }
    rows = {"JFK-SFO": 345.5 + number, "JFK-???": None}
    same = {"model": MODEL, "version": version, "run": f"run-{number}", "business_time": when}
    usage = {
        "id": f"{MODEL}/run-{number}",
        "start": when,
        "end": when,
        "team": "network-planning",
        "model": MODEL,
        "mode": "batch",
        "unit": f"run-{number}",
        "resource": "batch_cpu",
        "kind": "consumed",
        "quantity": 1000,
        "basis": "modelled",
    }
    return {
        "run": run,
        "table": {"format": "archlab/table/v1", "keys": ["route"], "rows": rows, **same, **table},
        "usage": [usage],
    }


@pytest.fixture
def online(control: Control, registry: MlflowServer) -> str:
    """Version of the model that is released online."""
    version = registry.register(MODEL, ONNX, TAGS)
    registry.alias(MODEL, "champion", version)
    allow(control, version, ONNX)
    control.post("/releases/reconcile")
    return version


def test_a_model_moves_to_batch_and_back_without_a_gap(control: Control, online: str, scenario: Scenario) -> None:
    def kinds() -> list[str]:
        return sorted(f"{r.kind.value}@{r.pool}" for r in feed(control).releases)

    control.post("/batch-runs", batch_run(online, 1))
    assert kinds() == ["onnx@online"]
    design(control, scenario, Mode.BATCH)
    control.post("/releases/reconcile", {})
    assert kinds() == ["onnx@online", "table@lookup"]
    control.post("/releases/reconcile", {"retire": True})
    assert kinds() == ["table@lookup"]
    control.post("/releases/reconcile", {})
    assert kinds() == ["table@lookup"]
    design(control, scenario, Mode.ONLINE)
    control.post("/releases/reconcile", {})
    assert kinds() == ["onnx@online", "table@lookup"]
    control.post("/releases/reconcile", {"retire": True})
    assert kinds() == ["onnx@online"]


def test_what_serves_is_not_retired_before_the_other_is_there(
    control: Control, online: str, scenario: Scenario
) -> None:
    design(control, scenario, Mode.BATCH)
    control.post("/releases/reconcile", {"retire": True})
    assert [r.kind for r in feed(control).releases] == [ReleaseKind.ONNX]


def test_the_newest_table_is_signed_and_served(control: Control, online: str, scenario: Scenario) -> None:
    design(control, scenario, Mode.BATCH)
    for number in (2, 1, 3, 3):
        answer = control.post("/batch-runs", batch_run(online, number))
        assert answer["id"] == f"run-{number}"
    control.post("/releases/reconcile", {"retire": True})
    (release,) = feed(control).releases
    assert (release.id, release.table_keys, release.keys) == (f"{MODEL}:{online}:run-3", ("route",), ("route",))
    assert release.source_sha256 == release.decision_sha256 == sha256(ONNX)
    content = (control.folder.releases / release.path).read_bytes()
    assert sha256(content) == release.sha256
    assert len(content) == release.size_bytes
    assert json.loads(content)["rows"] == {"JFK-SFO": 348.5, "JFK-???": None}
    check_signature(control, release)
    assert [run["id"] for run in control.get("/batch-runs")] == ["run-1", "run-2", "run-3"]
    assert {line["usage_id"] for line in control.get("/lines")} == {f"{MODEL}/run-{n}" for n in (1, 2, 3)}


def test_a_table_of_another_file_than_the_decided_one_is_refused(
    control: Control, online: str, scenario: Scenario
) -> None:
    design(control, scenario, Mode.BATCH)
    answer = control.post("/batch-runs", batch_run(online, 1, source_sha256="0" * 64))
    assert "was computed with" in answer["release"]["refused"][0]["reason"]
    assert [r.kind for r in feed(control).releases] == [ReleaseKind.ONNX]


def test_a_table_that_is_not_the_runs_is_a_user_error(control: Control) -> None:
    with control.client() as client:
        assert client.post("/batch-runs", json=batch_run("1", 1, run="other")).status_code == 400


def test_a_registry_that_is_down_leaves_the_feed_alone(control: Control, online: str) -> None:
    control.folder.socket("registry").unlink()
    with control.client() as client:
        refused = client.post("/releases/reconcile", json={})
    assert refused.status_code == 503
    assert "registry" in refused.json()["error"]
    assert len(feed(control).releases) == 1


def test_control_follows_the_registry_by_itself(control: Control, registry: MlflowServer) -> None:
    version = registry.register(MODEL, ONNX, TAGS)
    registry.alias(MODEL, "champion", version)
    allow(control, version, ONNX)
    until(lambda: control.get("/releases")["sequence"] == 1)


def test_a_feed_that_was_lost_is_written_again(folder: LabFolder, registry: MlflowServer) -> None:
    control = Control(folder).start()
    version = registry.register(MODEL, ONNX, TAGS)
    registry.alias(MODEL, "champion", version)
    allow(control, version, ONNX)
    control.post("/releases/reconcile")
    control.kill()
    before = (folder.releases / "feed.json").read_bytes()
    (folder.releases / "feed.json").unlink()
    control.start()
    assert (folder.releases / "feed.json").read_bytes() == before
    control.stop()


def until(condition: Callable[[], bool]) -> None:
    import time

    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
