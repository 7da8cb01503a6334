"""Exceptions: what the log makes of them, and what both engines let them do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archlab.policy import chain
from archlab.policy.bundle import built_in, publish
from archlab.policy.embedded import EmbeddedEngine
from archlab.policy.exceptions import brought, from_records, newest_first
from archlab.policy.opa import OpaEngine
from archlab.settings import LabFolder
from archlab.spec.policy import Decision, DecisionRecord, PolicyEngine, PolicyResource, Query, Subject
from opa_server import OPA, WITHOUT, opa_server
from policy_queries import EXCEPTION, NOW, WAIVED, good

ALLOW = Decision(allow=True, reasons=(), engine="embedded", bundle_digest="b")
WAIVABLE = {"promotion/enough_holdout", "promotion/beats_baseline_and_champion", "deployment/holiday_freeze"}
NEVER = {
    "promotion/approved_by_another",
    "promotion/approval_is_recent",
    "promotion/onnx_matches",
    "access/protected_tags",
    "supply_chain/source_in_store",
    "supply_chain/signed_by_trusted_key",
    "supply_chain/no_executable_files",
    "retention/legal_hold",
    "exception/granted_by_another",
}


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("opa", marks=pytest.mark.skipif(OPA is None, reason=WITHOUT))]
)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolicyEngine]:
    from archlab.identity import create_keys

    folder = LabFolder(tmp_path_factory.mktemp("exceptions") / "lab")
    create_keys(folder)
    publish(folder)
    if request.param == "embedded":
        yield EmbeddedEngine(folder)
        return
    with opa_server() as url:
        found = OpaEngine(folder, url)
        until(lambda: found.decide(good("promotion/champion")).allow)  # it is given the bundle first
        yield found
        found.close()


def until(condition: Callable[[], bool], within_s: float = 120.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline


def few_rows(*exceptions: Any, **version: Any) -> Query:
    """A promotion that only the rule on the hold-out objects to, with these exceptions."""
    query = good("promotion/champion", exceptions=list(exceptions))
    changed = {**query.evidence["version"], "metrics": {"auc": 0.78, "holdout_rows": 3}, **version}
    return query.model_copy(update={"evidence": {**query.evidence, "version": changed}})


def exception(**changed: Any) -> dict[str, Any]:
    return {**EXCEPTION, **changed}


def codes(decision: Decision) -> set[tuple[str, str]]:
    return {(reason.rule, reason.code) for reason in decision.reasons}


def test_a_waived_rule_does_not_stand_in_the_way_and_the_decision_says_so(engine: PolicyEngine) -> None:
    assert codes(engine.decide(few_rows())) == {(WAIVED, "too_few")}
    decision = engine.decide(few_rows(exception()))
    assert decision.allow
    (use,) = decision.exceptions
    assert (use.id, use.rule, use.granted_by) == (EXCEPTION["id"], WAIVED, "grace")
    assert (use.owner, use.until) == ("ada", "2013-11-20T00:00:00+00:00")


def test_an_exception_that_was_not_needed_is_not_named(engine: PolicyEngine) -> None:
    decision = engine.decide(good("promotion/champion"))
    assert decision.allow
    assert decision.exceptions == ()
    assert "exceptions" not in decision.model_dump(mode="json")


def test_a_missing_field_of_a_waived_rule_is_waived_with_it(engine: PolicyEngine) -> None:
    assert not engine.decide(few_rows(metrics={"auc": 0.78})).allow
    assert engine.decide(few_rows(exception(), metrics={"auc": 0.78})).allow


@pytest.mark.parametrize("days_left", [0, -0.001, -30])
def test_it_stops_when_its_day_has_passed(engine: PolicyEngine, days_left: float) -> None:
    decision = engine.decide(few_rows(exception(days_left=days_left)))
    assert codes(decision) == {(WAIVED, "too_few"), (WAIVED, "exception_expired")}
    assert decision.exceptions == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"rule": "promotion/beats_baseline_and_champion"},
        {"rule": "enough_holdout"},
        {"rule": "Promotion/enough_holdout"},
        {"rule": ["promotion/enough_holdout"]},
        {"granted_by": "ada"},
        {"granted_by": ""},
        {"granted_by": None},
        {"owner": None},
        {"until": None},
        {"id": 7},
        {"days_left": "3"},
        {"days_left": True},
        {"days_left": None},
    ],
    ids=str,
)
def test_what_is_no_whole_exception_for_it_waives_nothing(engine: PolicyEngine, changed: dict[str, Any]) -> None:
    decision = engine.decide(few_rows(exception(**changed)))
    assert codes(decision) == {(WAIVED, "too_few")}
    assert decision.exceptions == ()


@pytest.mark.parametrize("exceptions", [None, "all", {"rule": WAIVED}, [None, "x", 3, [EXCEPTION]]], ids=str)
def test_exceptions_of_another_shape_waive_nothing(engine: PolicyEngine, exceptions: Any) -> None:
    query = few_rows()
    decision = engine.decide(query.model_copy(update={"evidence": {**query.evidence, "exceptions": exceptions}}))
    assert codes(decision) == {(WAIVED, "too_few")}


def test_without_a_known_author_nothing_is_waived(engine: PolicyEngine) -> None:
    decision = engine.decide(few_rows(exception(), author=None))
    assert (WAIVED, "too_few") in codes(decision)


@pytest.mark.parametrize("rule", sorted(NEVER))
def test_some_rules_are_never_waived(engine: PolicyEngine, rule: str) -> None:
    onnx = {"sha256": "b" * 64, "registered_sha256": "a" * 64, "parity_max_abs_diff": 0}
    query = few_rows(exception(rule=rule), approved_by="ada", onnx=onnx)
    decision = engine.decide(query)
    assert {
        ("promotion/approved_by_another", "approved_by_author"),
        ("promotion/onnx_matches", "file_differs"),
    } <= codes(decision)
    assert decision.exceptions == ()


def test_an_exception_to_one_rule_leaves_the_others(engine: PolicyEngine) -> None:
    decision = engine.decide(few_rows(exception(), value=0.1))
    assert {rule for rule, _ in codes(decision)} == {"promotion/beats_baseline_and_champion"}
    assert [use.rule for use in decision.exceptions] == [WAIVED]


def test_which_rules_can_be_waived() -> None:
    listed = {rule.id: rule.waivable for rule in built_in().rules}
    assert {name for name, waivable in listed.items() if waivable} >= WAIVABLE
    assert not [name for name in NEVER if listed[name]]


@pytest.mark.parametrize("value", ["1", '"true"', "{true}"])
def test_waivable_has_to_be_a_constant(folder: LabFolder, rule_file: Any, value: str) -> None:
    from archlab.errors import SpecError

    rule_file.write_text(
        "package archlab.rules.promotion.own\n\nimport rego.v1\n\ndefault allow := false\n\n"
        f'actions := {{"promotion/champion"}}\n\nwaivable := {value}\n'
    )
    with pytest.raises(SpecError, match="`waivable` has to be the constant true or false"):
        publish(folder)


class Log:
    """A decision log in memory."""

    def __init__(self) -> None:
        self.records: list[DecisionRecord] = []

    def add(
        self, action: str, *, version: str = "", digest: str = "", model: str = "gate-delay", **evidence: Any
    ) -> DecisionRecord:
        query = Query(
            subject=Subject(user="grace", team="platform", roles=("approver",)),
            action=action,
            resource=PolicyResource(kind="x", name=model, version=version, digest=digest),
            evidence=evidence,
            time=NOW,
        )
        previous = self.records[-1] if self.records else None
        now = datetime.now(UTC)
        self.records.append(chain.append(previous, query, ALLOW, wall_time=now, business_time=NOW))
        return self.records[-1]

    def grant(self, rule: str = WAIVED, **more: Any) -> DecisionRecord:
        said = {"until": "2013-11-20T00:00:00Z", "owner": "ada", "reason": "late labels", "model_created": "1"}
        return self.add("exception/grant", rule=rule, **said, **more)

    def states(self, now: datetime = NOW) -> list[str]:
        return [one.state(now) for one in from_records(self.records)]


def test_an_exception_is_what_the_log_granted() -> None:
    log = Log()
    record = log.grant()
    (one,) = from_records(log.records)
    assert (one.id, one.rule, one.model, one.granted_by, one.owner) == (record.id, WAIVED, "gate-delay", "grace", "ada")
    assert log.states(one.until - timedelta(seconds=1)) == ["active"]
    assert log.states(one.until) == ["expired"]


def test_a_denied_grant_grants_nothing() -> None:
    log = Log()
    record = log.grant()
    denied = chain.append(
        None, record.query, ALLOW.model_copy(update={"allow": False}), wall_time=NOW, business_time=NOW
    )
    assert from_records([denied]) == []


def test_a_record_that_was_changed_by_hand_grants_nothing() -> None:
    log = Log()
    record = log.grant()
    evidence = {**record.query.evidence, "until": "2014-11-20T00:00:00Z"}
    forged = record.model_copy(update={"query": record.query.model_copy(update={"evidence": evidence})})
    assert from_records([forged]) == []


@pytest.mark.parametrize("until", [None, "", "soon", "2013-11-20T00:00:00", 5e30])
def test_a_grant_without_an_end_grants_nothing(until: Any) -> None:
    log = Log()
    log.add("exception/grant", rule=WAIVED, until=until, owner="a", reason="b", model_created="1")
    assert from_records(log.records) == []


def test_revoked_replaced_and_deleted_ones_have_ended() -> None:
    log = Log()
    log.grant()
    log.add("exception/revoke", rule="promotion/beats_baseline_and_champion")
    assert log.states() == ["active"]
    log.add("exception/revoke", rule=WAIVED)
    assert log.states() == ["ended"]
    log.grant()
    log.grant()
    assert log.states() == ["ended", "ended", "active"]
    log.grant(version="2", digest="d")
    log.add("retention/delete", version="2")
    assert log.states() == ["ended", "ended", "active", "ended"]
    log.add("retention/delete", model="other")
    log.add("retention/delete")
    assert set(log.states()) == {"ended"}


def test_a_query_brings_those_of_this_model_and_file() -> None:
    log = Log()
    log.grant()
    log.grant("promotion/beats_baseline_and_champion", version="2", digest="d2")
    found = from_records(log.records)

    def rules(**about: str) -> list[str]:
        return [
            one["rule"] for one in brought(found, **{"created": "1", "version": "2", "digest": "d2", **about}, now=NOW)
        ]

    assert rules() == [WAIVED, "promotion/beats_baseline_and_champion"]
    assert rules(version="3") == [WAIVED]
    assert rules(digest="another") == [WAIVED]
    assert rules(created="2") == []
    (one, _) = brought(found, created="1", version="2", digest="d2", now=NOW)
    assert one["days_left"] == pytest.approx(13 + 16 / 24)


def test_those_in_force_come_first() -> None:
    log = Log()
    log.grant("a/a")
    log.grant("b/b")
    log.add("exception/revoke", rule="a/a")
    log.grant("c/c")
    assert [one.rule for one in newest_first(from_records(log.records), NOW)] == ["c/c", "b/b", "a/a"]
