"""An unmodified MLflow client against the gated registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from archlab.pipelines.register import SignedOnnx
from archlab.policy import chain
from archlab.policy.bundle import publish
from archlab.registry.evidence import AUTHOR, BOM_SHA256, SHA256
from gated_registry import BUSINESS_NOW, GOOD_TAGS, Registry, wait_for
from model_folders import card
from registry_client import Client

ALIAS = "/api/2.0/mlflow/registered-models/alias"


def test_refused_approved_promoted(client: Client, registry: Registry, name: str) -> None:
    version, _ = client.register(name, auc=0.6)
    told = registry.control.reconciled

    message = client.refused(lambda: client.promote(name, version))
    assert "promotion/approved_by_another: Nobody has approved version 1" in message
    assert "promotion/beats_baseline_and_champion: auc 0.6 does not beat the baseline, 0.65." in message
    denied = registry.control.last("promotion/champion")
    assert not denied.decision.allow
    assert denied.decision.engine.startswith("embedded regopy")
    assert len(denied.decision.bundle_digest) == 64

    better, _ = client.register(name, auc=0.8)
    client.approve(name, better)
    client.promote(name, better)
    allowed = registry.control.last("promotion/champion")
    assert allowed.decision.allow
    assert allowed.query.resource.digest == allowed.query.evidence["version"]["onnx"]["sha256"]
    assert allowed.query.time == BUSINESS_NOW
    assert str(client.mlflow.get_model_version_by_alias(name, "champion").version) == better
    wait_for(lambda: registry.control.reconciled > told, "the nudge to control")
    assert chain.verify(registry.control.records) == []


def test_who_sends_slowly_keeps_nobody_waiting(registry: Registry, name: str) -> None:
    where = urlsplit(registry.url)
    with closing(HTTPConnection(str(where.hostname), where.port, timeout=30)) as slow:
        slow.putrequest("POST", f"{where.path}{ALIAS}")
        slow.putheader("Authorization", f"Bearer {registry.token('ada')}")
        slow.putheader("Content-Length", "100")
        slow.endheaders(b"{")
        create = "/api/2.0/mlflow/registered-models/create"
        assert registry.call("ada", "POST", create, {"name": name})[0] == 200


def test_every_reason_is_told_at_once(client: Client, name: str) -> None:
    stale = (BUSINESS_NOW - timedelta(days=40)).isoformat()
    version, _ = client.register(
        name,
        auc=0.1,
        without=("archlab.data_digest",),
        tags={"archlab.evaluated_at": stale, "archlab.parity_max_abs_diff": "0.5"},
    )
    message = client.refused(lambda: client.promote(name, version))
    for part in (
        "promotion/approved_by_another",
        "does not beat the baseline",
        "evidence.version.data_digest is missing",
        "40 days old",
        "promotion/onnx_matches: ONNX and the trained model differ by 0.5",
    ):
        assert part in message


def test_the_ajax_api_and_other_spellings_are_gated(client: Client, registry: Registry, name: str) -> None:
    version, _ = client.register(name)
    body = {"name": name, "alias": "champion", "version": version}
    for path in (
        ALIAS,
        "/ajax-api/2.0/mlflow/registered-models/alias",
        "//api//2.0/mlflow/registered-models//alias",
        "/api/2.0/mlflow/registered-models/alias/",
        "/api/2.0/mlflow/registered%2Dmodels/alias",
    ):
        status, answer = registry.call("ada", "POST", path, body)
        assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED"), path
        assert "promotion/approved_by_another" in answer["message"]
    for path in ("/api/3.0/mlflow/registered-models/alias", "/api/2.0/mlflow/x/../registered-models/alias"):
        status, answer = registry.call("ada", "POST", path, body)
        assert status in (400, 403), path
    assert "champion" not in client.mlflow.get_registered_model(name).aliases


def test_other_forms_of_the_body_are_gated(client: Client, registry: Registry, name: str) -> None:
    import json

    version, _ = client.register(name)
    text = json.dumps({"name": name, "alias": "champion", "version": version})
    for body, headers in (
        (json.dumps(text).encode(), {}),
        (text.encode("utf-16"), {}),
        (text.replace('"alias"', '"alias": "x", "alias"').encode(), {}),
        (text.replace('"champion"', '"Champion"').encode(), {}),
        (text.replace('"champion"', '"\\u0063hampion"').encode(), {"Content-Type": "application/json; charset=utf-8"}),
    ):
        status, answer = registry.call("ada", "POST", ALIAS, body, headers)
        assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED"), body
    assert client.mlflow.get_registered_model(name).aliases == {}


def test_stage_production_is_a_promotion(client: Client, registry: Registry, name: str) -> None:
    version, _ = client.register(name)
    for stage in ("Production", "production"):
        body = {"name": name, "version": version, "stage": stage, "archive_existing_versions": False}
        status, answer = registry.call("ada", "POST", "/api/2.0/mlflow/model-versions/transition-stage", body)
        assert status == 403
        assert "promotion/approved_by_another" in answer["message"]
    body = {"name": name, "version": version, "stage": "Staging", "archive_existing_versions": False}
    assert registry.call("ada", "POST", "/api/2.0/mlflow/model-versions/transition-stage", body)[0] == 200


def test_the_author_cannot_approve(client: Client, registry: Registry, name: str) -> None:
    version, _ = client.register(name, user="solo")
    message = client.refused(lambda: client.approve(name, version, "solo"))
    assert "solo wrote this version" in message
    client.become("grace")
    assert "in one's own name" in client.refused(
        lambda: client.mlflow.set_model_version_tag(name, version, "archlab.approved_by", "bob")
    )
    client.become("ops")
    assert "Only the role approver" in client.refused(
        lambda: client.mlflow.set_model_version_tag(name, version, "archlab.approved_by", "ops")
    )


def test_protected_tags_are_the_gates_own(client: Client, name: str) -> None:
    version, _ = client.register(name)
    client.become("ops")
    found = client.mlflow.get_model_version(name, version)
    assert found.tags[AUTHOR] == "ada"
    assert len(found.tags[SHA256]) == 64
    for key in (AUTHOR, SHA256, "archlab.promoted_at", "archlab.approved_evidence"):
        assert key in client.refused(partial(client.mlflow.set_model_version_tag, name, version, key, "me"))
        assert key in client.refused(partial(client.mlflow.delete_model_version_tag, name, version, key))
    assert AUTHOR in client.refused(lambda: client.register(name, tags={AUTHOR: "grace"}))
    assert "archlab.owner_team" in client.refused(
        lambda: client.mlflow.set_registered_model_tag(name, "archlab.owner_team", "x")
    )
    client.mlflow.set_model_version_tag(name, version, "note", "free")


def test_a_changed_file_is_refused(client: Client, name: str, tmp_path: Path) -> None:
    version, run = client.register(name)
    client.approve(name, version)
    client.become("ada")
    (tmp_path / "model.onnx").write_bytes(b"another file")
    client.mlflow.log_artifact(run, str(tmp_path / "model.onnx"), "model")
    message = client.refused(lambda: client.promote(name, version))
    assert "promotion/onnx_matches: model.onnx is" in message
    assert "changed after grace approved it" in message


def test_evidence_changed_after_approval_is_refused(client: Client, name: str) -> None:
    version, run = client.register(name, auc=0.7)
    client.approve(name, version)
    client.become("ada")
    client.mlflow.log_metric(run, "auc", 0.99)
    message = client.refused(lambda: client.promote(name, version))
    assert "changed after grace approved it" in message
    client.approve(name, version)
    client.promote(name, version)


def test_rollback_to_an_earlier_champion(client: Client, name: str) -> None:
    first, _ = client.register(name, auc=0.75)
    client.approve(name, first)
    client.promote(name, first)
    second, _ = client.register(name, auc=0.95)
    client.approve(name, second)
    client.promote(name, second)
    third, _ = client.register(name, auc=0.9)
    client.approve(name, third)
    message = client.refused(lambda: client.promote(name, third))
    assert f"does not beat version {second}, the champion, with 0.95" in message
    client.promote(name, first)
    assert str(client.mlflow.get_model_version_by_alias(name, "champion").version) == first


def test_a_challenger_needs_no_approval_but_evidence(client: Client, registry: Registry, name: str) -> None:
    version, _ = client.register(name, auc=0.1)
    client.promote(name, version, alias="challenger")
    assert registry.control.last("promotion/challenger").decision.allow
    bad, _ = client.register(name, without=("archlab.parity_max_abs_diff",))
    message = client.refused(lambda: client.promote(name, bad, alias="challenger"))
    assert "parity_max_abs_diff is missing" in message
    client.promote(name, bad, alias="note")


def test_roles_and_teams(client: Client, registry: Registry) -> None:
    name = "departure-delay"
    client.register(name)
    change = {"name": name, "description": "mine now"}
    for user, part in (("viewer", "viewer may read but not write"), ("bob", "belongs to team operations")):
        status, answer = registry.call(user, "PATCH", "/api/2.0/mlflow/registered-models/update", change)
        assert (status, part in answer["message"]) == (403, True)
        assert not registry.control.last("access/write").decision.allow
    client.become("viewer")
    assert client.mlflow.get_registered_model(name).name == name
    assert "access/registry_write" in client.refused(lambda: client.mlflow.create_experiment("viewers-own"))
    client.become("trainer")
    client.mlflow.update_registered_model(name, "Trained nightly")


def test_a_champion_stays_unless_an_operator_removes_it(client: Client, name: str) -> None:
    version, _ = client.register(name)
    client.approve(name, version)
    client.promote(name, version)
    client.become("ada")
    for change in (
        lambda: client.mlflow.delete_registered_model_alias(name, "champion"),
        lambda: client.mlflow.delete_model_version(name, version),
        lambda: client.mlflow.delete_registered_model(name),
        lambda: client.mlflow.rename_registered_model(name, f"{name}-2"),
    ):
        assert "access/champion_protected" in client.refused(change)
    client.become("ops")
    client.mlflow.delete_registered_model_alias(name, "champion")
    client.become("ada")
    message = client.refused(lambda: client.mlflow.delete_model_version(name, version))
    assert "retention/former_champions: Version 1 was champion" in message


def test_unknown_changes_are_refused(registry: Registry) -> None:
    for method, path in (
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("POST", "/api/3.0/mlflow/gateway/secrets/create"),
        ("POST", "/api/2.0/mlflow/registered-models/promote-now"),
        ("PUT", "/api/2.0/mlflow/registered-models/alias"),
        ("POST", "/somewhere/else"),
    ):
        status, answer = registry.call("ops", method, path, {"name": "x"})
        assert status == 403, path
        assert "No rule covers the action access/other" in answer["message"]


def test_identity_comes_from_the_token_alone(registry: Registry) -> None:
    spoofed = {
        "x-archlab-user": "ops",
        "x-archlab-team": "platform",
        "x-archlab-scope": "operator",
        "remote-user": "ops",
    }
    body = {"name": "spoofed"}
    status, answer = registry.call("viewer", "POST", "/api/2.0/mlflow/registered-models/create", body, spoofed)
    assert status == 403
    assert "viewer may read but not write" in answer["message"]


def test_without_a_valid_token_nothing_answers(registry: Registry) -> None:
    for header in ("", "Bearer nonsense", f"Bearer {registry.token('ada', lifetime_s=-10)}", "Basic YWRhOmFkYQ=="):
        for method, path in (("GET", "/"), ("GET", "/api/2.0/mlflow/experiments/search"), ("POST", ALIAS)):
            status, answer = registry.call("ada", method, path, None, {"Authorization": header})
            assert (status, answer["error_code"]) == (401, "UNAUTHENTICATED")
    status, answer = registry.call("ada", "GET", "/", None, {"Authorization": f"Bearer {registry.token('ada', -10)}"})
    assert "has expired" in answer["message"]


def test_the_web_interface_comes_with_a_cookie(registry: Registry) -> None:
    headers = {"Authorization": "", "Cookie": f"other=1; archlab_token={registry.token('grace')}"}
    status, answer = registry.call("grace", "GET", "/", None, headers)
    assert status == 200
    assert "<html" in answer["text"]
    searched = {"experiment_ids": ["0"]}
    status, answer = registry.call("grace", "POST", "/ajax-api/2.0/mlflow/runs/search", searched, headers)
    assert status == 200


def test_control_down_denies(client: Client, registry: Registry, name: str) -> None:
    version, _ = client.register(name)
    client.approve(name, version)
    registry.control.stop()
    try:
        message = client.refused(lambda: client.promote(name, version))
        assert "Control does not answer" in message
        assert "champion" not in client.mlflow.get_registered_model(name).aliases
    finally:
        registry.control.start()
    client.promote(name, version)


@pytest.fixture
def own_rule(registry: Registry) -> Iterator[Callable[[str], None]]:
    """Publishes a learner's rule promotion/own; takes it away again."""
    folder = registry.folder.policies / "promotion" / "own"

    def write(text: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "own.rego").write_text("package archlab.rules.promotion.own\n\nimport rego.v1\n\n" + text)
        publish(registry.folder)

    yield write
    for file in folder.glob("*"):
        file.unlink()
    folder.rmdir()
    publish(registry.folder)


def test_a_learners_rule_joins_without_a_restart(
    client: Client, own_rule: Callable[[str], None], registry: Registry, name: str
) -> None:
    version, _ = client.register(name)
    client.approve(name, version)
    own_rule(
        "default allow := false\n\nallow if input.evidence.version.value > 0.9\n\n"
        'reasons contains {"code": "too_low", "message": "Ours have to reach 0.9."} if not allow\n'
    )
    assert "promotion/own: Ours have to reach 0.9." in client.refused(lambda: client.promote(name, version))


def test_a_rule_that_fails_denies(client: Client, own_rule: Callable[[str], None], name: str) -> None:
    version, _ = client.register(name)
    client.approve(name, version)
    own_rule("default allow := false\n\nallow if time.parse_rfc3339_ns(input.evidence.version.data_digest) > 0\n")
    message = client.refused(lambda: client.promote(name, version))
    assert "promotion/own: The rule failed" in message


def test_known_columns_are_evidence(client: Client, registry: Registry) -> None:
    version, _ = client.register("departure-delay", auc=0.1)
    client.refused(lambda: client.promote("departure-delay", version))
    evidence = registry.control.last("promotion/champion").query.evidence
    assert evidence["known_at_request"] == ["hour", "distance"]
    assert evidence["version"]["columns"][0] == {"name": "hour", "source": "request"}
    assert registry.control.last("promotion/champion").query.resource.team == "operations"


def test_a_model_logged_the_usual_way_has_its_digest(client: Client, registry: Registry, name: str) -> None:
    import mlflow
    import onnx
    from mlflow.models import Model
    from onnx import TensorProto, helper

    node = helper.make_node("Identity", ["features"], ["prediction"])
    shapes = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 1]) for n in ("features", "prediction")]
    graph = helper.make_graph([node], "g", shapes[:1], shapes[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    client.become("trainer")
    mlflow.set_tracking_uri(registry.url)
    mlflow.set_experiment(name)
    arguments = {"name": "model", "save_as_external_data": False, "pip_requirements": ["onnx"]}
    flavor = SignedOnnx(card(), registry.folder.keys / "signing.pem")
    with mlflow.start_run() as run:
        mlflow.log_metrics({"auc": 0.8, "holdout_rows": 500})
        unsigned = mlflow.onnx.log_model(model, **arguments)
        logged = Model.log(None, flavor, onnx_model=model, **arguments)
    client.mlflow.create_registered_model(name)
    assert "supply_chain/signed_by_trusted_key: There is no model.sig" in client.refused(
        lambda: client.mlflow.create_model_version(name, unsigned.model_uri, run.info.run_id, tags=GOOD_TAGS)
    )
    version = client.mlflow.create_model_version(
        name, logged.model_uri, run.info.run_id, tags={**GOOD_TAGS, "archlab.team": "any"}, model_id=logged.model_id
    )
    tags = client.mlflow.get_model_version(name, version.version).tags
    assert tags[AUTHOR] == "trainer"
    assert len(tags[SHA256]) == len(tags[BOM_SHA256]) == 64
    client.approve(name, version.version)
    client.promote(name, version.version, user="trainer")
    path = f"/model-versions/get-artifact?name={name}&version={version.version}&path=model.onnx"
    assert registry.call("grace", "GET", path)[0] == 200
    assert onnx.checker.check_model(model) is None


def test_decisions_leave_no_memory_behind(client: Client, registry: Registry, name: str) -> None:
    """rego-cpp leaks 0.9 MB per refusal when it is loaded after numpy; the registry loads it before MLflow."""
    version, _ = client.register(name)
    process = psutil.Process(registry.pid)

    def refuse(times: int) -> int:
        for _ in range(times):
            body = {"name": name, "alias": "champion", "version": version}
            assert registry.call("viewer", "POST", ALIAS, body)[0] == 403
        return int(process.memory_info().rss)

    before = refuse(10)
    assert refuse(40) - before < 15 << 20
