"""From a real MLflow registry and the decision log to the feed that servers follow."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.archlab_serving.signatures import signed_model

from archlab.files import write_model
from archlab.plan.layout import layout
from archlab.settings import LabFolder
from archlab.spec.release import ReleaseKind
from archlab.spec.scenario import ModelOverride, Overrides, Scenario
from archlab_serving.model_signature import check_model, read_keys
from control_process import START, Control
from mlflow_server import MlflowServer
from released import (
    MODEL,
    ONNX,
    TAGS,
    allow,
    check_signature,
    decide,
    feed,
    sha256,
    until,
)

pytestmark = pytest.mark.slow
STRANGER = ec.generate_private_key(ec.SECP256R1())


def test_an_allowed_champion_becomes_a_signed_release_once(control: Control, registry: MlflowServer) -> None:
    version = registry.register(MODEL, ONNX, TAGS)
    registry.alias(MODEL, "champion", version)
    decision = allow(control, version, ONNX)
    done = control.post("/releases/reconcile")
    # control looks every few seconds by itself, and may have been first
    assert (done["sequence"], done["refused"]) == (1, [])
    assert done["published"] in ([f"{MODEL}:{version}"], [])
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
    assert [(release.model, release.version) for release in feed(control).releases] == [(MODEL, version)]


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
