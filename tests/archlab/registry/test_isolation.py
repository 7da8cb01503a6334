"""What a team sees of another's in the registry, with an unmodified MLflow client and without."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from archlab.registry.calls import Kind, classify
from archlab.registry.things import is_open, listing, things, values
from gated_registry import Registry, wait_for
from registry_client import Client

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass(frozen=True)
class Theirs:
    """A model of team operations, its run, experiment and files."""

    name: str
    version: str
    run: str
    experiment: str
    place: str


@pytest.fixture
def theirs(client: Client, name: str) -> Theirs:
    version, run = client.register(name)
    info = client.mlflow.get_run(run).info
    return Theirs(name, version, run, info.experiment_id, info.artifact_uri.partition(":/")[2].lstrip("/"))


def reads(one: Theirs) -> list[tuple[str, str, Any]]:
    """Every way to read it."""
    named, path = f"name={one.name}", quote(f"{one.place}/model/model.onnx")
    return [
        ("GET", f"{API}/registered-models/get?{named}", None),
        ("GET", f"/ajax-api/2.0/mlflow/registered-models/get?{named}", None),
        ("GET", f"//api/2.0/mlflow//registered-models/get/?{named}", None),
        ("GET", f"{API}/registered-models/get?name=mine&{named}", None),
        ("POST", f"{API}/registered-models/get-latest-versions", {"name": one.name}),
        ("GET", f"{API}/registered-models/alias?{named}&alias=champion", None),
        ("GET", f"{API}/model-versions/get?{named}&version=1", None),
        ("GET", f"{API}/model-versions/get-download-uri?{named}&version=1", None),
        ("GET", f"/model-versions/get-artifact?{named}&version=1&path=model.onnx", None),
        ("GET", f"{API}/runs/get?run_id={one.run}", None),
        ("GET", f"{API}/runs/get?run_uuid={one.run}", None),
        ("POST", f"{API}/runs/search", {"experiment_ids": [one.experiment]}),
        ("POST", f"{API}/runs/search", {"experimentIds": [one.experiment]}),
        ("POST", f"{API}/runs/search", {"experiment_ids": ["0", one.experiment]}),
        ("GET", f"{API}/metrics/get-history?run_id={one.run}&metric_key=auc", None),
        ("GET", f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={one.run}&metric_key=auc", None),
        ("GET", f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={one.run}&metric_key=auc", None),
        ("GET", f"{API}/artifacts/list?run_id={one.run}", None),
        ("GET", f"/get-artifact?run_uuid={one.run}&path=model/model.onnx", None),
        ("GET", f"{API}/experiments/get?experiment_id={one.experiment}", None),
        ("GET", f"{FILES}?path={quote(one.place)}", None),
        ("GET", f"{FILES}?path=", None),
        ("GET", FILES, None),
        ("GET", f"{FILES}/{path}", None),
        ("GET", f"{FILES}/{quote(path)}", None),
        ("GET", f"{FILES}/x/../{path}", None),
        ("GET", f"{FILES}?path={quote('mine/../' + one.place)}", None),
        ("GET", f"/ajax-api/2.0/mlflow-artifacts/artifacts/{path}", None),
        ("GET", f"/api/2.0/mlflow-artifacts/presigned/{path}", None),
        ("POST", f"{API}/logged-models/search", {"experiment_ids": [one.experiment]}),
        ("POST", "/graphql", {"query": f'{{mlflowGetRun(input: {{runId: "{one.run}"}}) {{run {{info {{runId}}}}}}}}'}),
        ("GET", f"/ajax-api/2.0/mlflow/traces?experiment_ids={one.experiment}", None),
    ]


WAYS = range(32)


def test_every_way_is_tried(theirs: Theirs) -> None:
    assert len(reads(theirs)) == len(WAYS)


@pytest.mark.parametrize("way", WAYS)
def test_another_teams_things_are_not_read(registry: Registry, theirs: Theirs, way: int) -> None:
    method, path, body = reads(theirs)[way]
    status, answer = registry.call("bob", method, path, body)
    assert status in (400, 403), answer
    assert "auc" not in json.dumps(answer)
    assert "versions" not in answer


def test_ones_own_are_read_by_the_plain_client(client: Client, theirs: Theirs) -> None:
    for user in ("ada", "viewer", "ops", "grace"):
        client.become(user)
        assert client.mlflow.get_registered_model(theirs.name).name == theirs.name
        assert client.mlflow.get_model_version(theirs.name, theirs.version).version == theirs.version
        assert client.mlflow.get_run(theirs.run).data.metrics["auc"] == 0.78
        assert [r.info.run_id for r in client.mlflow.search_runs([theirs.experiment])] == [theirs.run]
        assert {f.path for f in client.mlflow.list_artifacts(theirs.run)} == {"model"}
        assert theirs.name in {m.name for m in client.mlflow.search_registered_models(max_results=1000)}
        assert theirs.experiment in {e.experiment_id for e in client.mlflow.search_experiments(max_results=1000)}
        assert [v.version for v in client.mlflow.search_model_versions(f"name='{theirs.name}'")] == [theirs.version]


def test_searches_show_a_team_its_own(client: Client, theirs: Theirs) -> None:
    mine = f"mine-{uuid.uuid4().hex[:8]}"
    client.register(mine, user="bob")
    client.become("bob")
    models = {m.name for m in client.mlflow.search_registered_models(max_results=1000)}
    assert mine in models
    assert theirs.name not in models
    assert client.mlflow.search_model_versions(f"name='{theirs.name}'") == []
    assert theirs.experiment not in {e.experiment_id for e in client.mlflow.search_experiments(max_results=1000)}


def test_a_page_that_would_be_empty_is_passed_over(client: Client, theirs: Theirs) -> None:
    mine = f"zz-{uuid.uuid4().hex[:8]}"
    client.register(mine, user="bob")
    client.become("bob")
    assert theirs.name < mine
    (first,) = client.mlflow.search_registered_models(max_results=1, order_by=["name ASC"], filter_string=None)
    assert client.mlflow.get_registered_model(first.name)
    (experiment,) = client.mlflow.search_experiments(max_results=1)
    assert experiment.tags["archlab.owner_team"] == "revenue"


def writes(one: Theirs) -> list[tuple[str, str, Any]]:
    """Every way to change it."""
    place = quote(one.place)
    return [
        ("POST", f"{API}/runs/log-metric", {"run_id": one.run, "key": "auc", "value": 1, "timestamp": 1}),
        ("POST", f"{API}/runs/log-metric", {"runUuid": one.run, "key": "auc", "value": 1, "timestamp": 1}),
        ("POST", f"{API}/runs/log-batch", {"run_id": one.run, "metrics": []}),
        ("POST", f"{API}/runs/set-tag", {"run_id": one.run, "key": "a", "value": "b"}),
        ("POST", f"{API}/runs/update", {"run_id": one.run, "status": "FAILED"}),
        ("POST", f"{API}/runs/delete", {"run_id": one.run}),
        ("POST", f"{API}/runs/create", {"experiment_id": one.experiment}),
        ("POST", f"{API}/runs/create", {}),
        ("POST", f"{API}/experiments/update", {"experiment_id": one.experiment, "new_name": "mine"}),
        ("POST", f"{API}/experiments/delete", {"experiment_id": one.experiment}),
        ("POST", f"{API}/experiments/set-experiment-tag", {"experiment_id": one.experiment, "key": "a", "value": "b"}),
        ("POST", f"{API}/logged-models", {"experiment_id": one.experiment, "name": "x"}),
        ("PUT", f"{FILES}/{place}/model/model.onnx", b"mine"),
        ("POST", f"/api/2.0/mlflow-artifacts/mpu/create/{place}/model", {"path": "x", "num_parts": 1}),
        ("DELETE", f"{FILES}/{place}", None),
        ("POST", f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={one.run}&path=x", b"mine"),
        ("POST", f"{API}/traces", {"experiment_id": one.experiment}),
    ]


@pytest.mark.parametrize("way", range(17))
def test_another_teams_things_are_not_changed(registry: Registry, theirs: Theirs, way: int) -> None:
    method, path, body = writes(theirs)[way]
    before = len(registry.control.records)
    status, answer = registry.call("bob", method, path, body)
    assert status == 403, answer
    wait_for(lambda: len(registry.control.records) > before, "the refusal on record")
    assert not registry.control.records[before].decision.allow
    assert registry.control.records[before].query.subject.user == "bob"


def test_nobody_has_an_experiment_in_anothers_folder(registry: Registry, theirs: Theirs) -> None:
    body = {"name": uuid.uuid4().hex, "artifact_location": f"mlflow-artifacts:/{theirs.place}"}
    assert registry.call("bob", "POST", f"{API}/experiments/create", body)[0] == 403
    owned = {"name": uuid.uuid4().hex, "tags": [{"key": "archlab.owner_team", "value": "operations"}]}
    assert registry.call("bob", "POST", f"{API}/experiments/create", owned)[0] == 403
    status, made = registry.call("bob", "POST", f"{API}/experiments/create", {"name": uuid.uuid4().hex})
    assert status == 200
    tag = {"experiment_id": made["experiment_id"], "key": "archlab.owner_team", "value": "operations"}
    assert registry.call("bob", "POST", f"{API}/experiments/set-experiment-tag", tag)[0] == 403


def test_a_version_is_no_way_to_anothers_files(client: Client, registry: Registry, theirs: Theirs) -> None:
    mine = f"mine-{uuid.uuid4().hex[:8]}"
    assert registry.call("bob", "POST", f"{API}/registered-models/create", {"name": mine})[0] == 200
    body = {"name": mine, "source": f"mlflow-artifacts:/{theirs.place}/model"}
    status, answer = registry.call("bob", "POST", f"{API}/model-versions/create", body)
    assert status == 403
    assert "supply_chain/own_files" in answer["message"]
    _, run = client.register(f"other-{uuid.uuid4().hex[:8]}", user="bob")
    place = client.mlflow.get_run(run).info.artifact_uri
    borrowed = {"name": mine, "source": f"{place}/model", "run_id": theirs.run}
    status, answer = registry.call("bob", "POST", f"{API}/model-versions/create", borrowed)
    assert status == 403
    assert "belong to team operations" in answer["message"]


def test_a_version_is_no_way_to_anothers_logged_model(client: Client, registry: Registry, theirs: Theirs) -> None:
    logged = {"experiment_id": theirs.experiment, "name": "m"}
    status, made = registry.call("ada", "POST", f"{API}/logged-models", logged)
    assert status == 200, made
    mine = f"mine-{uuid.uuid4().hex[:8]}"
    _, run = client.register(mine, user="bob")
    source = f"{client.mlflow.get_run(run).info.artifact_uri}/model"
    body = {"name": mine, "source": source, "run_id": run, "model_id": made["model"]["info"]["model_id"]}
    status, answer = registry.call("bob", "POST", f"{API}/model-versions/create", body)
    assert status == 403
    assert "belong to team operations" in answer["message"]


@pytest.mark.parametrize("tags", [5, {"a": "b"}, ["a"]])
@pytest.mark.parametrize("user", ["bob", "ops"])
def test_tags_that_are_none_make_no_experiment(registry: Registry, user: str, tags: object) -> None:
    body = {"name": uuid.uuid4().hex, "tags": tags}
    status, answer = registry.call(user, "POST", f"{API}/experiments/create", body)
    assert (status, "not a list of {key, value}" in answer["message"]) == (400, True)


def test_more_fields_than_anybody_sends_are_refused_in_words(registry: Registry) -> None:
    status, answer = registry.call("bob", "GET", f"{API}/runs/get?{'run_id=a&' * 1001}")
    assert (status, "more than 1000 fields" in answer["message"]) == (400, True)


@pytest.mark.parametrize("path", [f"{FILES}/7/mlflow/server-info", f"/mlflow{FILES}/7/mlflow/ui-telemetry"])
def test_a_file_is_not_open_because_of_its_name(path: str) -> None:
    assert not is_open(classify("GET", path))
    assert is_open(classify("GET", "/mlflow/ajax-api/3.0/mlflow/server-info"))


@pytest.fixture
def granted(registry: Registry, theirs: Theirs) -> Iterator[None]:
    """Revenue may read the model."""
    scenario = json.loads(registry.folder.scenario.read_text())
    grant = {"team": "revenue", "may": "read", "model": theirs.name}
    registry.folder.scenario.write_text(json.dumps({**scenario, "grants": [grant]}))
    yield
    registry.folder.scenario.write_text(json.dumps(scenario))


def test_a_grant_lends_the_model_with_its_run_and_files(
    client: Client, registry: Registry, theirs: Theirs, granted: None
) -> None:
    client.become("bob")
    assert client.mlflow.get_model_version(theirs.name, theirs.version).version == theirs.version
    assert client.mlflow.get_run(theirs.run).data.metrics["auc"] == 0.78
    assert registry.call("bob", "GET", f"{FILES}/{quote(theirs.place)}/model/model.onnx")[0] == 200
    assert registry.call("bob", "GET", f"{API}/experiments/get?experiment_id={theirs.experiment}")[0] == 403
    assert (
        registry.call("bob", "POST", f"{API}/runs/set-tag", {"run_id": theirs.run, "key": "a", "value": "b"})[0] == 403
    )
    assert registry.call("bob", "GET", f"{FILES}/{theirs.experiment}/none/model")[0] == 403


def test_files_come_with_the_model_by_the_plain_client(
    client: Client, theirs: Theirs, granted: None, become: Callable[[str], None], tmp_path: Any
) -> None:
    import mlflow

    become("bob")
    mlflow.set_tracking_uri(client.registry.url)
    where = mlflow.artifacts.download_artifacts(f"models:/{theirs.name}/{theirs.version}", dst_path=str(tmp_path))
    assert "model.onnx" in " ".join(str(p) for p in __import__("pathlib").Path(where).rglob("*"))


def test_every_read_that_mlflow_offers_is_known_or_not_for_teams() -> None:
    """A new MLflow with another call that reads is closed to teams until somebody says whose what it shows is."""
    from mlflow.server import app

    for rule in app.url_map.iter_rules():
        for method in {"GET"} & (rule.methods or set()):
            path = rule.rule.replace("<path:", "<").replace("<", "").replace(">", "")
            call = classify(method, path)
            assert call.kind is Kind.READ
            said = values("name=a&run_id=b&experiment_id=1&experiment_name=c&path=1/x&run_ids=b", {})
            about = None if is_open(call) or listing(call) else things(call, said)
            assert about != [], path
