"""Canaries and rollbacks through an unmodified MLflow client: what the gate lets pass, and what it puts on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from gated_registry import BUSINESS_NOW, Registry
from registry_client import Client

TAG, ACTION = "archlab.canary", "deployment/canary"
FREEZE = datetime(2013, 12, 24, 8, tzinfo=UTC)


@pytest.fixture
def registry(registry: Registry) -> Iterator[Registry]:
    yield registry
    registry.control.now = BUSINESS_NOW


@pytest.fixture
def challenger(client: Client, registry: Registry, name: str) -> Iterator[str]:
    """Nobody has approved it; version 1 is champion."""
    first, _ = client.register(name, auc=0.75)
    client.approve(name, first)
    client.promote(name, first)
    second, _ = client.register(name, auc=0.8)
    client.promote(name, second, alias="challenger")
    yield second
    registry.control.routed.pop(name, None)


Ask = Callable[[object], None]


@pytest.fixture
def ask(client: Client, name: str, challenger: str) -> Ask:
    def setting(percent: object) -> None:
        client.become("ada")
        client.mlflow.set_model_version_tag(name, challenger, TAG, str(percent))

    return setting


def test_a_small_share_needs_no_approval(registry: Registry, ask: Ask, challenger: str) -> None:
    ask(10)
    record = registry.control.last(ACTION)
    assert record.decision.allow
    assert record.query.resource.version == challenger
    assert len(record.query.resource.digest) == 64
    said = record.query.evidence
    assert (said["percent"], said["percent_allowed"], said["percent_routed"]) == (10, 0, 0)
    assert said["as_challenger"]["allow"]
    assert {reason["rule"] for reason in said["as_champion"]["reasons"]} >= {"promotion/approved_by_another"}


def test_more_needs_an_approval_and_most_what_a_champion_needs(
    client: Client, registry: Registry, name: str, challenger: str, ask: Ask
) -> None:
    assert "deployment/canary_limited: More than 10 percent" in client.refused(lambda: ask(11))
    assert not registry.control.last(ACTION).decision.allow
    client.approve(name, challenger)
    ask(50)
    ask(100)
    worse, _ = client.register(name, auc=0.7)
    client.approve(name, worse)
    client.promote(name, worse, alias="challenger")
    client.become("ada")
    client.mlflow.set_model_version_tag(name, worse, TAG, "50")
    message = client.refused(lambda: client.mlflow.set_model_version_tag(name, worse, TAG, "51"))
    assert "promotion/beats_baseline_and_champion: auc 0.7 does not beat version 1" in message


def test_an_approval_that_lapsed_is_none(
    client: Client, registry: Registry, name: str, challenger: str, ask: Ask
) -> None:
    client.approve(name, challenger)
    registry.control.now = BUSINESS_NOW + timedelta(days=27)
    ask(20)
    registry.control.now = BUSINESS_NOW + timedelta(days=31)
    message = client.refused(lambda: ask(20))
    assert "deployment/canary_of_challenger: It would not become challenger today" in message
    assert "deployment/canary_limited" in message


def test_only_the_challenger_gets_callers(client: Client, name: str, challenger: str) -> None:
    other, _ = client.register(name, auc=0.9)
    client.become("ada")
    for version in ("1", other):
        message = client.refused(lambda v=version: client.mlflow.set_model_version_tag(name, v, TAG, "5"))  # type: ignore[misc]
        assert "Name it challenger first" in message


@pytest.mark.parametrize("value", ["", "all", "5.0", "-1", "101", "1e1", "05", "\u0665"])
def test_what_is_no_percentage_is_refused(client: Client, ask: Ask, value: str) -> None:
    assert "evidence.percent is missing" in client.refused(lambda: ask(value))


def test_nothing_begins_or_grows_in_the_freeze(
    client: Client, registry: Registry, name: str, challenger: str, ask: Ask
) -> None:
    registry.control.now = FREEZE
    message = client.refused(lambda: ask(5))
    assert "deployment/holiday_freeze: From 12-23 to 12-26 nothing new goes live" in message


def test_callers_are_taken_back_at_any_time(
    client: Client, registry: Registry, name: str, challenger: str, ask: Ask
) -> None:
    ask(10)
    registry.control.routed[name] = {challenger: 10}
    registry.control.now = FREEZE
    assert "10 percent of the callers are sent to version" in client.refused(lambda: ask(4))
    registry.control.routed[name] = {challenger: 4}
    ask(4)
    assert "deployment/holiday_freeze" in client.refused(lambda: ask(5))
    del registry.control.routed[name]
    client.mlflow.delete_model_version_tag(name, challenger, TAG)
    assert registry.control.last(ACTION).query.evidence["percent"] == 0
    assert registry.control.last(ACTION).decision.allow
    ask(0)


def promoted(client: Client, name: str, auc: float) -> str:
    version, _ = client.register(name, auc=auc)
    client.approve(name, version)
    client.promote(name, version)
    return version


def test_a_rollback_waits_for_nothing_for_thirty_days(client: Client, registry: Registry, name: str) -> None:
    first = promoted(client, name, 0.75)
    promoted(client, name, 0.95)
    registry.control.now = BUSINESS_NOW + timedelta(days=30)
    client.promote(name, first)
    evidence = registry.control.last("promotion/champion").query.evidence["version"]
    assert (evidence["held_champion"], evidence["serves"], evidence["replaced_age_days"]) == (True, False, 30)


def test_a_champion_of_long_ago_is_judged_like_any_other(client: Client, registry: Registry, name: str) -> None:
    first = promoted(client, name, 0.75)
    promoted(client, name, 0.95)
    registry.control.now = BUSINESS_NOW + timedelta(days=31)
    message = client.refused(lambda: client.promote(name, first))
    for rule in ("approval_is_recent", "evidence_complete_and_fresh", "beats_baseline_and_champion"):
        assert f"promotion/{rule}" in message


def test_what_was_withdrawn_does_not_come_back_as_a_rollback(client: Client, registry: Registry, name: str) -> None:
    first = promoted(client, name, 0.75)
    second = promoted(client, name, 0.95)
    registry.control.now = FREEZE - timedelta(days=20)
    client.promote(name, first)
    registry.control.now = FREEZE
    assert "deployment/holiday_freeze" in client.refused(lambda: client.promote(name, second))
    assert registry.control.last("promotion/champion").query.evidence["version"]["withdrawn"] is True
    client.promote(name, first)


def test_the_way_back_is_open_after_an_operator_took_the_alias_away(
    client: Client, registry: Registry, name: str
) -> None:
    first = promoted(client, name, 0.75)
    client.become("ops")
    client.mlflow.delete_registered_model_alias(name, "champion")
    assert registry.control.last("access/remove_champion").decision.allow
    registry.control.now = FREEZE - timedelta(days=20)
    client.promote(name, first)


def test_what_another_decision_refuses_is_not_on_record_as_allowed(
    client: Client, registry: Registry, name: str, challenger: str
) -> None:
    """Who may not write gets no allowance into the log, however good the version is."""
    client.approve(name, challenger)
    before = len(registry.control.records)
    client.become("viewer")
    for change in (
        lambda: client.mlflow.set_model_version_tag(name, challenger, TAG, "5"),
        lambda: client.mlflow.set_registered_model_alias(name, "champion", challenger),
        lambda: client.mlflow.delete_model_version(name, challenger),
    ):
        assert "access/registry_write" in client.refused(change)
    new = registry.control.records[before:]
    assert len(new) == 3
    assert not [record for record in new if record.decision.allow]
