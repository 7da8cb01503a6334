"""What may come into the registry, and what may leave it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import timedelta

import pytest

from archlab.policy.deletions import tombstones
from archlab.registry import evidence as ev
from archlab.registry.artifacts import kind_of
from gated_registry import BUSINESS_NOW, Registry
from registry_client import Client

REGISTER = "supply_chain/register"


def test_a_source_outside_the_store_is_refused(client: Client, registry: Registry, name: str) -> None:
    client.register(name)
    for source in ("s3://bucket/model", "/etc", "file:///etc", "mlflow-artifacts:/../../keys", "models:/nobody/9"):
        body = {"name": name, "source": source}
        status, answer = registry.call("ada", "POST", "/api/2.0/mlflow/model-versions/create", body)
        assert status == 403, source
        assert "supply_chain/source_in_store" in answer["message"]
        assert not registry.control.last(REGISTER).decision.allow


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"extra.pkl": b"harmless"}, "extra.pkl can run code when it is loaded (.pkl)"),
        ({"weights.bin": pickle.dumps({"a": 1})}, "weights.bin can run code when it is loaded (pickle)"),
        ({"notes.txt": pickle.dumps([1, 2], protocol=0)}, "notes.txt can run code when it is loaded (pickle)"),
        ({"weights.dat": b"PK\x03\x04rest"}, "weights.dat can run code when it is loaded (zip)"),
        ({"start": b"#!/bin/sh\n"}, "start can run code when it is loaded (script)"),
    ],
)
def test_what_runs_code_is_refused_at_registration(
    client: Client, name: str, files: dict[str, bytes], fault: str
) -> None:
    message = client.refused(lambda: client.register(name, files=files))
    assert f"supply_chain/no_executable_files: {fault}" in message


def test_a_pickle_called_onnx_is_refused(client: Client, name: str) -> None:
    message = client.refused(lambda: client.register(name, content=pickle.dumps(lambda_free())))
    assert "model.onnx can run code when it is loaded (pickle)" in message


def lambda_free() -> dict[str, int]:
    return {"weights": 1}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], (1, "x"), {1, 2}, BUSINESS_NOW])
def test_every_pickle_is_known_by_its_content(protocol: int, value: object) -> None:
    content = pickle.dumps(value, protocol=protocol)
    assert kind_of(content) == kind_of(content + b"more") == "pickle"


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"\x08\x07\x12\x04onnx\x00", "binary"), (b"flavors:\n  onnx:\n", "text"), ("é".encode(), "text"), (b"", "text")],
)
def test_other_contents_are_no_pickles(content: bytes, kind: str) -> None:
    assert kind_of(content) == kind


def test_a_version_without_a_model_is_refused(client: Client, registry: Registry, name: str) -> None:
    _, run = client.register(name)
    location = client.mlflow.get_run(run).info.artifact_uri
    client.mlflow.log_text(run, "nothing", "empty/readme.txt")
    message = client.refused(lambda: client.mlflow.create_model_version(name, f"{location}/empty", run))
    assert "supply_chain/one_model_file: There is no model.onnx" in message


def test_look_alike_names_are_refused(client: Client, registry: Registry, name: str) -> None:
    client.register(name)
    for other in (name.replace("-", "_"), name.upper(), f"{name} ", "flight-t\u0456me", "..flight-time"):
        body = {"name": other}
        status, answer = registry.call("ada", "POST", "/api/2.0/mlflow/registered-models/create", body)
        assert (status, "supply_chain/distinct_name" in answer["message"]) == (403, True), other
    body = {"name": name, "new_name": f"departure.{name}"}
    rename = "/api/2.0/mlflow/registered-models/rename"
    assert registry.call("ada", "POST", rename, body)[0] == 200
    status, answer = registry.call("ada", "POST", rename, {"name": f"departure.{name}", "new_name": "mod/el"})
    assert (status, "supply_chain/distinct_name" in answer["message"]) == (403, True)


def test_look_alike_aliases_are_refused(client: Client, name: str) -> None:
    version, _ = client.register(name)
    for alias in ("champi0n", "cham-pion", "challenger_", "\u0441hampion"):
        message = client.refused(lambda alias=alias: client.promote(name, version, alias=alias))  # type: ignore[misc]
        assert "access/reserved_alias" in message
    client.promote(name, version, alias="candidate")


def test_what_a_version_comes_from_stays(client: Client, registry: Registry, name: str) -> None:
    version, run = client.register(name)
    client.become("ada")
    mlflow = client.mlflow
    experiment = mlflow.get_run(run).info.experiment_id
    digest = mlflow.get_model_version(name, version).tags[ev.SHA256]
    files = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/model/model.onnx"
    for change in (lambda: mlflow.delete_run(run), lambda: mlflow.delete_experiment(experiment)):
        message = client.refused(change)
        assert f"is where {name} version {version} comes from" in message
    for path in (files, files.rpartition("/")[0], f"/api/2.0/mlflow-artifacts/artifacts/{experiment}"):
        status, answer = registry.call("ada", "DELETE", path)
        assert status == 403
        assert "retention/registered_sources" in answer["message"]
    assert not registry.control.last("retention/remove_source").decision.allow
    mlflow.delete_model_version(name, version)
    gone = registry.control.last("retention/delete")
    assert gone.decision.allow
    (tombstone,) = tombstones([gone])
    assert (tombstone.model, tombstone.version, tombstone.run_id) == (name, version, run)
    assert (tombstone.sha256, tombstone.path) == (digest, f"{experiment}/{run}/artifacts/model")
    mlflow.delete_run(run)
    assert registry.control.last("retention/remove_source").decision.allow


def test_what_is_on_hold_stays(client: Client, name: str) -> None:
    version, _ = client.register(name)
    client.become("ada")
    set_hold: Callable[[], object] = lambda: client.mlflow.set_model_version_tag(name, version, ev.HOLD, "mine")  # noqa: E731
    assert "Only an approver or an operator sets or lifts archlab.hold" in client.refused(set_hold)
    client.become("ops")
    client.mlflow.set_model_version_tag(name, version, ev.HOLD, "incident of 4 November")
    client.become("ada")
    for change in (
        lambda: client.mlflow.delete_model_version(name, version),
        lambda: client.mlflow.delete_registered_model(name),
        lambda: client.mlflow.delete_model_version_tag(name, version, ev.HOLD),
    ):
        assert "retention/legal_hold" in client.refused(change)
    client.become("ops")
    client.mlflow.delete_model_version_tag(name, version, ev.HOLD)
    client.become("ada")
    client.mlflow.delete_model_version(name, version)


def test_the_gate_keeps_the_times(client: Client, registry: Registry, name: str) -> None:
    first, _ = client.register(name, auc=0.75)
    client.approve(name, first)
    client.promote(name, first)
    tags = client.mlflow.get_model_version(name, first).tags
    assert tags[ev.APPROVED_AT] == tags[ev.PROMOTED_AT] == BUSINESS_NOW.isoformat()
    assert ev.REPLACED_AT not in tags
    second, _ = client.register(name, auc=0.8)
    client.approve(name, second)
    client.promote(name, second)
    assert client.mlflow.get_model_version(name, first).tags[ev.REPLACED_AT] == BUSINESS_NOW.isoformat()
    client.promote(name, first)
    assert ev.REPLACED_AT not in client.mlflow.get_model_version(name, first).tags
    client.become("ops")
    for key in (ev.APPROVED_AT, ev.REPLACED_AT):
        assert key in client.refused(
            lambda key=key: client.mlflow.set_model_version_tag(name, second, key, "x")  # type: ignore[misc]
        )


def test_ages_are_told_on_the_business_clock() -> None:
    then = (BUSINESS_NOW - timedelta(days=40)).isoformat()
    tags = {"1": {ev.PROMOTED_AT: then, ev.REPLACED_AT: then}, "2": {"archlab.Hold": ""}, "3": {}}
    found = ev.deletion(tags, BUSINESS_NOW)["versions"]
    assert found[0]["replaced_age_days"] == 40
    assert found[1] == {"version": "2", "held_champion": False, "hold": "no reason given"}
    assert found[2] == {"version": "3", "held_champion": False, "hold": ""}


def test_views_that_are_not_served_are_refused(client: Client, name: str) -> None:
    columns = '[{"name": "temp", "source": "wheather"}]'
    version, _ = client.register(name, tags={"archlab.columns": columns})
    message = client.refused(lambda: client.promote(name, version, alias="challenger"))
    assert "deployment/features_served: Columns come from wheather" in message
