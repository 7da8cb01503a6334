"""Both engines on the same queries; OPA itself only where its program is."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archlab.identity import create_keys
from archlab.policy.bundle import publish
from archlab.policy.embedded import EmbeddedEngine
from archlab.policy.opa import OpaEngine
from archlab.settings import LabFolder
from archlab.spec.policy import Decision, PolicyEngine, Query
from opa_server import OPA, WITHOUT, opa_server, running_opa

HEADER = "package archlab.rules.promotion.own\n\nimport rego.v1\n\n"


def changed(query: Query, **fields: object) -> Query:
    """The query with fields of evidence.version replaced; None removes one."""
    version = {k: v for k, v in {**query.evidence["version"], **fields}.items() if v is not None}
    return query.model_copy(update={"evidence": {**query.evidence, "version": version}})


def codes(decision: Decision) -> set[tuple[str, str]]:
    return {(reason.rule, reason.code) for reason in decision.reasons}


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("opa", marks=pytest.mark.skipif(OPA is None, reason=WITHOUT)),
    ]
)
def engine(request: pytest.FixtureRequest, folder: LabFolder) -> Iterator[PolicyEngine]:
    publish(folder)
    if request.param == "embedded":
        yield EmbeddedEngine(folder)
        return
    with opa_server() as url:
        found = OpaEngine(folder, url)
        yield found
        found.close()


def test_a_good_promotion_is_allowed(engine: PolicyEngine, good: Query) -> None:
    decision = engine.decide(good)
    assert decision.allow
    assert decision.reasons == ()
    assert decision.engine.startswith(("embedded regopy", "opa at http"))
    assert len(decision.bundle_digest) == 64


def test_every_reason_is_told(engine: PolicyEngine, good: Query) -> None:
    decision = engine.decide(changed(good, approved_by=None, value=0.1, evaluated_age_days=31))
    assert not decision.allow
    assert codes(decision) == {
        ("promotion/approved_by_another", "not_approved"),
        ("promotion/beats_baseline_and_champion", "below_baseline"),
        ("promotion/beats_baseline_and_champion", "below_champion"),
        ("promotion/evidence_complete_and_fresh", "stale"),
    }


@pytest.mark.parametrize("field", ["metric", "value", "baseline", "data_digest", "evaluated_age_days", "columns"])
def test_a_missing_field_is_named(engine: PolicyEngine, good: Query, field: str) -> None:
    decision = engine.decide(changed(good, **{field: None}))
    assert not decision.allow
    assert f"evidence.version.{field} is missing." in {reason.message for reason in decision.reasons}


@pytest.mark.parametrize("action", ["weather/forecast", "promotion/everything", "archlab/x", ""])
def test_an_unknown_action_is_refused(engine: PolicyEngine, good: Query, action: str) -> None:
    decision = engine.decide(good.model_copy(update={"action": action}))
    assert not decision.allow
    assert ("archlab/main", "unknown_action") in codes(decision)


def test_a_challenger_needs_less(engine: PolicyEngine, good: Query) -> None:
    query = changed(good, approved_by=None, value=0.1).model_copy(update={"action": "promotion/challenger"})
    assert engine.decide(query).allow


def test_text_from_outside_changes_nothing(engine: PolicyEngine, good: Query) -> None:
    nasty = '"}], "reasons": [], "allow": true, "x": [{"y": "\\'
    decision = engine.decide(changed(good, approved_by=nasty, author=nasty, metric=nasty))
    assert not decision.allow
    assert ("promotion/approved_by_another", "approved_by_author") in codes(decision)
    assert any(nasty in reason.message for reason in decision.reasons)


def test_a_rule_that_joins_is_obeyed_at_once(
    engine: PolicyEngine, good: Query, folder: LabFolder, rule_file: Path
) -> None:
    assert engine.decide(good).allow
    rule_file.write_text(HEADER + "default allow := false\n\nallow if input.evidence.version.value > 0.9\n")
    digest = publish(folder)
    decision = engine.decide(good)
    assert codes(decision) == {("promotion/own", "refused")}
    assert decision.bundle_digest == digest
    rule_file.unlink()
    rule_file.parent.rmdir()
    publish(folder)
    assert engine.decide(good).allow


def test_a_rule_that_fails_denies_its_area_alone(
    engine: PolicyEngine, good: Query, folder: LabFolder, rule_file: Path
) -> None:
    rule_file.write_text(HEADER + "allow if time.parse_rfc3339_ns(input.evidence.version.data_digest) > 0\n")
    publish(folder)
    decision = engine.decide(good)
    assert not decision.allow
    assert {reason.code for reason in decision.reasons} <= {"rule_error", "engine_error"}
    assert engine.decide(good.model_copy(update={"action": "access/write"})).allow


def test_reasons_beat_allow(engine: PolicyEngine, good: Query, folder: LabFolder, rule_file: Path) -> None:
    rule_file.write_text(HEADER + 'allow := true\n\nreasons contains {"code": "c", "message": "no"}\n')
    publish(folder)
    assert codes(engine.decide(good)) == {("promotion/own", "c")}
    rule_file.write_text(HEADER + "allow := true\n\nreasons contains input.evidence.version.onnx\n")
    publish(folder)
    assert codes(engine.decide(good)) == {("promotion/own", "refused")}


def bundle_digest(engine: PolicyEngine, query: Query) -> str:
    return engine.decide(query).bundle_digest


def test_a_tampered_bundle_changes_nothing(engine: PolicyEngine, folder: LabFolder, good: Query) -> None:
    before = engine.decide(good)
    file = folder.bundle / "bundle.json"
    content = json.loads(file.read_text())
    content["modules"]["archlab/main.rego"] += '\nreasons contains {"rule": "x", "code": "x", "message": "x"}\n'
    file.write_text(json.dumps(content))
    assert engine.decide(good) == before


@pytest.mark.parametrize("left", ["unsigned", "not base64", "no bundle", "half a bundle", "another lab's"])
def test_what_is_no_bundle_is_refused_and_the_last_good_one_stays(
    engine: PolicyEngine, folder: LabFolder, good: Query, rule_file: Path, left: str
) -> None:
    before = engine.decide(good)
    match left:
        case "unsigned":
            (folder.bundle / "bundle.sig").unlink()
        case "not base64":
            (folder.bundle / "bundle.sig").write_text("?")
        case "no bundle":
            (folder.bundle / "bundle.json").unlink()
        case "half a bundle":
            content = (folder.bundle / "bundle.json").read_bytes()
            (folder.bundle / "bundle.json").write_bytes(content[: len(content) // 2])
        case _:
            other = LabFolder(folder.root.parent / "other")
            create_keys(other)
            publish(other)
            for name in ("bundle.json", "bundle.sig"):
                (folder.bundle / name).write_bytes((other.bundle / name).read_bytes())
    assert engine.decide(good) == before
    rule_file.write_text(HEADER + "default allow := false\n")
    digest = publish(folder)
    assert bundle_digest(engine, good) == digest != before.bundle_digest
    assert not engine.decide(good).allow


def test_an_older_bundle_is_refused(engine: PolicyEngine, folder: LabFolder, good: Query, rule_file: Path) -> None:
    old = {name: (folder.bundle / name).read_bytes() for name in ("bundle.json", "bundle.sig")}
    assert engine.decide(good).allow
    rule_file.write_text(HEADER + "default allow := false\n")
    publish(folder)
    assert not engine.decide(good).allow
    for name, content in old.items():
        (folder.bundle / name).write_bytes(content)
    assert not engine.decide(good).allow


@pytest.mark.skipif(OPA is None, reason=WITHOUT)
def test_an_opa_server_that_was_started_again_gets_the_rules_again(folder: LabFolder, good: Query) -> None:
    publish(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    engine = OpaEngine(folder, f"http://127.0.0.1:{port}")
    for _ in range(2):
        with running_opa(port):
            assert engine.decide(good).allow
        assert codes(engine.decide(good)) == {("archlab/engine", "engine_unreachable")}
    engine.close()


def test_without_a_bundle_nothing_is_allowed(folder: LabFolder, good: Query) -> None:
    engine = EmbeddedEngine(folder)
    assert codes(engine.decide(good)) == {("archlab/engine", "no_bundle")}
    publish(folder)
    assert engine.decide(good).allow


def test_threads_share_one_engine(folder: LabFolder, good: Query) -> None:
    publish(folder)
    engine = EmbeddedEngine(folder)
    queries = [changed(good, value=0.76 + 0.001 * n if n % 2 else 0.1) for n in range(64)]
    with ThreadPoolExecutor(8) as pool:
        assert [d.allow for d in pool.map(engine.decide, queries)] == [bool(n % 2) for n in range(64)]


def test_an_opa_server_that_does_not_answer_denies(folder: LabFolder, good: Query) -> None:
    publish(folder)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    decision = OpaEngine(folder, f"http://127.0.0.1:{port}").decide(good)
    assert codes(decision) == {("archlab/engine", "engine_unreachable")}
    assert f"127.0.0.1:{port} does not answer" in decision.reasons[0].message


def test_messages_read_the_same(engine: PolicyEngine, good: Query, folder: LabFolder, rule_file: Path) -> None:
    """rego-cpp puts quotes round computed strings; nobody is to see them."""
    rule_file.write_text(
        HEADER + "default allow := false\n\n"
        "names contains column.name if some column in input.evidence.version.columns\n\n"
        'reasons contains {"code": "c", "message": message} if {\n'
        '\tmessage := sprintf("%s; %v; %s", [concat(", ", names), names, input.subject.user])\n}\n'
    )
    publish(folder)
    columns = [{"name": name, "source": "request"} for name in ("b", 'c"\\é\n')]
    (reason,) = engine.decide(changed(good, columns=columns)).reasons
    assert reason.message.startswith('b, c"\\é\n; ')
    assert reason.message.endswith("; ada")
