"""Deprecated, reinstated, retired through an unmodified MLflow client."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archlab.registry.calls import Kind
from archlab.registry.lifecycle import action_of, move, state
from archlab.spec.policy import Standing
from gated_registry import BUSINESS_NOW, Registry, wait_for
from registry_client import Client

SUNSET, RETIRED = "archlab.sunset", "archlab.retired"
STAGE = "/api/2.0/mlflow/model-versions/transition-stage"
ENDS = datetime(2013, 11, 21, tzinfo=UTC)


@pytest.fixture
def registry(registry: Registry) -> Iterator[Registry]:
    yield registry
    registry.control.now = BUSINESS_NOW


@pytest.fixture
def champion(client: Client, name: str) -> str:
    version, _ = client.register(name)
    client.approve(name, version)
    client.promote(name, version)
    return version


def say(client: Client, name: str, version: str, key: str, value: str, user: str = "ada") -> None:
    client.become(user)
    client.mlflow.set_model_version_tag(name, version, key, value)


def deprecate(client: Client, name: str, version: str, user: str = "ada", sunset: str = "2013-11-20") -> None:
    say(client, name, version, SUNSET, sunset, user)


def test_a_champion_goes_the_whole_way(client: Client, registry: Registry, name: str, champion: str) -> None:
    told = registry.control.reconciled
    deprecate(client, name, champion)
    wait_for(lambda: registry.control.reconciled > told, "the nudge to control")
    record = registry.control.last("lifecycle/deprecate")
    assert (record.query.evidence["state"], record.query.evidence["sunset"]) == ("champion", ENDS.isoformat())
    assert str(client.mlflow.get_model_version_by_alias(name, "champion").version) == champion
    message = client.refused(lambda: say(client, name, champion, RETIRED, "replaced", "ops"))
    assert f"lifecycle/retired_after_sunset: {name} is promised to its callers for 15 more days" in message
    registry.control.now = ENDS
    message = client.refused(lambda: say(client, name, champion, RETIRED, "replaced"))
    assert "only an operator retires it" in message
    say(client, name, champion, RETIRED, "replaced", "ops")
    assert registry.control.last("lifecycle/retire").query.subject.user == "ops"
    assert client.mlflow.get_registered_model(name).aliases == {}
    message = client.refused(lambda: client.promote(name, champion))
    assert f"lifecycle/allowed_moves: {name} {champion} is retired and can't become champion." in message


def test_what_is_deprecated_is_not_promoted_until_it_is_reinstated(client: Client, name: str) -> None:
    version, _ = client.register(name)
    client.approve(name, version)
    deprecate(client, name, version)
    for alias in ("champion", "challenger"):
        message = client.refused(lambda alias=alias: client.promote(name, version, alias=alias))  # type: ignore[misc]
        assert f"is deprecated and can't become {alias}." in message
    client.become("ada")
    client.mlflow.delete_model_version_tag(name, version, SUNSET)
    client.promote(name, version)


def test_a_model_whose_end_is_announced_may_still_get_a_champion(
    client: Client, registry: Registry, name: str, champion: str
) -> None:
    client.become("ada")
    client.mlflow.set_registered_model_tag(name, SUNSET, "2013-11-20")
    better, _ = client.register(name, auc=0.8)
    client.approve(name, better)
    client.promote(name, better)
    registry.control.now = ENDS
    client.become("ops")
    client.mlflow.set_registered_model_tag(name, RETIRED, "no such flights any more")
    assert client.mlflow.get_registered_model(name).aliases == {}
    last, _ = client.register(name, auc=0.9)
    client.approve(name, last)
    assert f"{name} {last} is retired" in client.refused(lambda: client.promote(name, last))


def test_stage_archived_retires(client: Client, registry: Registry, name: str, champion: str) -> None:
    body = {"name": name, "version": champion, "stage": "Archived", "archive_existing_versions": False}
    status, answer = registry.call("ops", "POST", STAGE, body)
    assert (status, "is champion and can't be retired" in answer["message"]) == (403, True)
    other, _ = client.register(name, auc=0.8)
    assert registry.call("ada", "POST", STAGE, {**body, "version": other, "stage": "archived"})[0] == 200
    assert client.mlflow.get_model_version(name, other).tags[RETIRED]
    client.approve(name, other)
    assert f"{name} {other} is retired" in client.refused(lambda: client.promote(name, other))


def test_a_tag_deleted_in_the_database_brings_nothing_back(client: Client, registry: Registry, name: str) -> None:
    version, _ = client.register(name)
    say(client, name, version, RETIRED, "a mistake")
    client.become("ada")
    assert "is retired and can't be reinstated" in client.refused(
        lambda: client.mlflow.delete_model_version_tag(name, version, RETIRED)
    )
    with contextlib.closing(sqlite3.connect(registry.folder.registry / "mlflow.db", timeout=30)) as db, db:
        assert db.execute("DELETE FROM model_version_tags WHERE name = ? AND key = ?", (name, RETIRED)).rowcount == 1
    client.approve(name, version)
    assert f"{name} {version} is retired" in client.refused(lambda: client.promote(name, version))


def test_another_model_of_that_name_starts_anew(client: Client, registry: Registry, name: str) -> None:
    client.register(name)
    client.become("ops")
    client.mlflow.set_registered_model_tag(name, RETIRED, "no such flights any more")
    client.mlflow.rename_registered_model(name, f"former.{name}")
    version, _ = client.register(name)
    client.approve(name, version)
    client.promote(name, version)
    assert client.mlflow.get_registered_model(name).aliases == {"champion": version}


@pytest.mark.parametrize(
    ("user", "sunset", "because"),
    [
        ("bob", "2013-11-20", "belongs to operations, and revenue has no grant to read it"),
        ("trainer", "2013-11-20", "is neither a developer of team operations nor an operator"),
        ("viewer", "2013-11-20", "may read but not write"),
        ("ada", "2013-11-10", "leaves callers less than 7 days"),
        ("ada", "2012-01-01", "leaves callers less than 7 days"),
        ("ada", "2015-01-01", "is more than 365 days off"),
        ("ada", "soon", "evidence.sunset is missing"),
        ("ada", "2013-11-20T00:00:00", "evidence.sunset is missing"),
    ],
)
def test_what_is_no_proper_deprecation_is_refused(
    client: Client, registry: Registry, name: str, champion: str, user: str, sunset: str, because: str
) -> None:
    assert because in client.refused(lambda: deprecate(client, name, champion, user, sunset))
    client.become("ada")
    assert SUNSET not in client.mlflow.get_model_version(name, champion).tags


def test_retiring_without_a_reason_is_refused(client: Client, name: str) -> None:
    version, _ = client.register(name)
    assert "Say why." in client.refused(lambda: say(client, name, version, RETIRED, " "))


@pytest.mark.parametrize(
    ("kind", "body", "action"),
    [
        (Kind.TAG_VERSION, {"key": SUNSET}, "lifecycle/deprecate"),
        (Kind.TAG_MODEL, {"key": "ARCHLAB.Sunset"}, "lifecycle/deprecate"),
        (Kind.TAG_VERSION, {"key": RETIRED}, "lifecycle/retire"),
        (Kind.UNTAG_MODEL, {"key": SUNSET}, "lifecycle/reinstate"),
        (Kind.UNTAG_VERSION, {"key": RETIRED}, "lifecycle/reinstate"),
        (Kind.TRANSITION, {"stage": "ARCHIVED"}, "lifecycle/retire"),
        (Kind.TRANSITION, {"stage": "Staging"}, None),
        (Kind.TAG_VERSION, {"key": "archlab.metric"}, None),
        (Kind.SET_ALIAS, {"key": SUNSET}, None),
        (Kind.TAG_VERSION, {}, None),
    ],
)
def test_what_a_call_does_to_a_life(kind: Kind, body: dict[str, Any], action: str | None) -> None:
    assert action_of(kind, body) == action


def standing(version: str, kind: Any = "deprecated") -> Standing:
    return Standing(
        id="1", state=kind, model="m", model_created="1", version=version, since=BUSINESS_NOW, sunset=ENDS, by="ada"
    )


@pytest.mark.parametrize(
    ("standings", "aliases", "version", "held", "found"),
    [
        ([], {}, "1", False, "candidate"),
        ([], {"challenger": "1"}, "1", False, "challenger"),
        ([], {"champion": "1", "challenger": "1"}, "1", True, "champion"),
        ([], {"champion": "2"}, "1", True, "former"),
        ([standing("1")], {"champion": "1"}, "1", False, "deprecated"),
        ([standing("")], {"champion": "1"}, "1", False, "champion"),
        ([standing("", "retired")], {"champion": "1"}, "1", False, "retired"),
        ([standing("2", "retired")], {"champion": "1"}, "", False, "champion"),
        ([standing("")], {"champion": "1"}, "", False, "deprecated"),
    ],
)
def test_states(standings: list[Standing], aliases: dict[str, str], version: str, held: bool, found: str) -> None:
    assert state(standings, aliases, version, held=held) == found


def test_the_evidence_tells_days_on_the_business_clock() -> None:
    about = move("lifecycle/retire", "why", [standing("1")], {"champion": "1"}, ENDS + timedelta(days=2), version="1")
    assert about == {"state": "deprecated", "serves": True, "reason": "why", "sunset_age_days": 2.0}
    about = move("lifecycle/deprecate", "2013-11-20", [], {}, BUSINESS_NOW, version="1")
    assert about == {
        **{"state": "candidate", "serves": False, "sunset": ENDS.isoformat()},
        "notice_days": pytest.approx(14 + 16 / 24),
    }
