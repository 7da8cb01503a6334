"""Exceptions through an unmodified MLflow client: granted by a tag, decided, used, run out, revoked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archlab.policy import chain
from archlab.registry.exceptions import end_of, rule_of
from gated_registry import BUSINESS_NOW, Registry
from model_folders import graph
from registry_client import Client

RULE = "promotion/beats_baseline_and_champion"
KEY = f"archlab.exception.{RULE}"
LAST_DAY = "2013-11-20"
ENDS = datetime(2013, 11, 21, tzinfo=UTC)
REASON = "the champion reads a source that ends"


def value(**changed: Any) -> str:
    return json.dumps({"until": LAST_DAY, "owner": "ada", "reason": REASON, **changed})


def grant(client: Client, name: str, version: str | None = None, *, user: str = "grace", **changed: Any) -> None:
    client.become(user)
    if version:
        client.mlflow.set_model_version_tag(name, version, KEY, value(**changed))
    else:
        client.mlflow.set_registered_model_tag(name, KEY, value(**changed))


@pytest.fixture
def registry(registry: Registry) -> Iterator[Registry]:
    yield registry
    registry.control.now = BUSINESS_NOW


@pytest.fixture
def weak(client: Client, name: str) -> str:
    """An approved version that does not beat the baseline."""
    version, _ = client.register(name, auc=0.6)
    client.approve(name, version)
    assert RULE in client.refused(lambda: client.promote(name, version))
    return version


def test_granted_used_and_on_record(client: Client, registry: Registry, name: str, weak: str) -> None:
    grant(client, name, weak)
    granted = registry.control.last("exception/grant")
    assert granted.decision.allow
    assert granted.query.subject.user == "grace"
    assert (granted.query.resource.version, len(granted.query.resource.digest)) == (weak, 64)
    client.promote(name, weak)
    (use,) = registry.control.last("promotion/champion").decision.exceptions
    assert (use.id, use.rule, use.granted_by, use.owner) == (granted.id, RULE, "grace", "ada")
    assert use.until == ENDS.isoformat()
    assert chain.verify(registry.control.records) == []


def test_it_stops_when_its_day_has_passed_on_the_business_clock(
    client: Client, registry: Registry, name: str, weak: str
) -> None:
    grant(client, name)
    registry.control.now = ENDS - timedelta(seconds=1)
    client.promote(name, weak)
    other, _ = client.register(name, auc=0.61)
    client.approve(name, other)
    registry.control.now = ENDS
    message = client.refused(lambda: client.promote(name, other))
    assert f"{RULE}: Exception {registry.control.last('exception/grant').id}, granted by grace, ended at" in message
    assert registry.control.last("promotion/champion").decision.exceptions == ()


def test_revoked_it_counts_no_more(client: Client, registry: Registry, name: str, weak: str) -> None:
    grant(client, name)
    client.become("ada")
    assert "exception/revoked_by_keeper" in client.refused(lambda: client.mlflow.delete_registered_model_tag(name, KEY))
    client.become("ops")
    client.mlflow.delete_registered_model_tag(name, KEY)
    assert registry.control.last("exception/revoke").decision.allow
    assert RULE in client.refused(lambda: client.promote(name, weak))


@pytest.mark.parametrize(
    ("user", "changed", "because"),
    [
        ("ada", {}, "Only the role approver grants exceptions; ada does not have it."),
        ("ops", {}, "Only the role approver grants exceptions; ops does not have it."),
        ("grace", {"until": "2013-11-05"}, "has passed on the business clock"),
        ("grace", {"until": "2013-12-24"}, "An exception may last 30 days on the business clock"),
        ("grace", {"until": "2013-11-20T00:00:00"}, "evidence.until is missing"),
        ("grace", {"until": None}, "evidence.until is missing"),
        ("grace", {"reason": "urgent"}, "Say in at least 10 letters why."),
        ("grace", {"owner": ["ada"]}, "evidence.owner is missing"),
    ],
    ids=str,
)
def test_what_is_no_proper_grant_is_refused(
    client: Client, registry: Registry, name: str, weak: str, user: str, changed: dict[str, Any], because: str
) -> None:
    assert because in client.refused(lambda: grant(client, name, weak, user=user, **changed))
    assert not registry.control.last("exception/grant").decision.allow
    assert RULE in client.refused(lambda: client.promote(name, weak))


def test_the_author_grants_no_exception_not_even_before_writing(
    client: Client, registry: Registry, name: str, weak: str
) -> None:
    grant(client, name, user="solo")
    own, _ = client.register(name, user="solo", auc=0.6)
    client.approve(name, own)
    assert RULE in client.refused(lambda: client.promote(name, own, user="solo"))
    assert "solo wrote a version of" in client.refused(lambda: grant(client, name, user="solo"))


@pytest.mark.parametrize("rule", ["promotion/approved_by_another", "promotion/onnx_matches", "access/registry_write"])
def test_some_rules_are_waived_for_nobody(client: Client, name: str, rule: str) -> None:
    client.register(name)
    client.become("grace")
    key = f"archlab.exception.{rule}"
    message = client.refused(lambda: client.mlflow.set_registered_model_tag(name, key, value()))
    assert f"The rule {rule} can't be waived for anybody." in message


def test_one_version_is_one_file(client: Client, registry: Registry, name: str, weak: str) -> None:
    grant(client, name, weak)
    other, _ = client.register(name, auc=0.6, content=graph(0.5))
    client.approve(name, other)
    assert RULE in client.refused(lambda: client.promote(name, other))


def test_another_model_of_that_name_has_no_part_in_it(client: Client, registry: Registry, name: str, weak: str) -> None:
    grant(client, name)
    client.become("ada")
    client.mlflow.rename_registered_model(name, f"former.{name}")
    again, _ = client.register(name, auc=0.6)
    client.approve(name, again)
    assert RULE in client.refused(lambda: client.promote(name, again))
    client.approve(f"former.{name}", weak)
    assert RULE in client.refused(lambda: client.promote(f"former.{name}", weak))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-11-20", ENDS),
        ("2013-11-20T12:00:00Z", datetime(2013, 11, 20, 12, tzinfo=UTC)),
        ("9999-12-31", None),
        ("2013-11-20T12:00:00", None),
        ("soon", None),
        (7, None),
    ],
)
def test_a_date_counts_to_its_end(text: Any, moment: datetime | None) -> None:
    assert end_of(text) == moment


@pytest.mark.parametrize(
    ("key", "rule"),
    [(KEY, RULE), ("ARCHLAB.exception.a/b", "a/b"), ("archlab.exception", None), ("archlab.metric", None)],
)
def test_a_tag_names_its_rule(key: str, rule: str | None) -> None:
    assert rule_of(key) == rule
