"""A team over budget gets no new champion, whatever client asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gated_registry import Registry
from registry_client import Client

RULE = "cost/within_budget"
USD = 1_000_000_000


@pytest.fixture
def registry(registry: Registry) -> Iterator[Registry]:
    yield registry
    registry.control.costs.clear()


def test_over_budget_by_plan_or_bill_no_new_champion(client: Client, registry: Registry, name: str) -> None:
    first, _ = client.register(name, auc=0.75)
    client.approve(name, first)
    client.promote(name, first)
    second, _ = client.register(name, auc=0.8)
    client.approve(name, second)
    registry.control.costs["operations"] = (832 * USD, 90 * USD)
    message = client.refused(lambda: client.promote(name, second))
    assert f"{RULE}: What team operations reserves costs 832 USD in 30 days; its budget is 500." in message
    assert registry.control.last("promotion/champion").query.evidence["cost"]["team"] == "operations"
    registry.control.costs["operations"] = (90 * USD, 501 * USD)
    message = client.refused(lambda: client.promote(name, second))
    assert f"{RULE}: Team operations has spent 501 USD" in message
    client.promote(name, second, alias="challenger")
    registry.control.costs["operations"] = (90 * USD, 499 * USD)
    client.promote(name, second)
    registry.control.costs["operations"] = (832 * USD, 832 * USD)
    client.promote(name, first)
    assert str(client.mlflow.get_model_version_by_alias(name, "champion").version) == first


def test_another_teams_bill_stands_in_nobodys_way(client: Client, registry: Registry, name: str) -> None:
    registry.control.costs["revenue"] = (832 * USD, 832 * USD)
    version, _ = client.register(name)
    client.approve(name, version)
    client.promote(name, version)
    assert client.mlflow.get_registered_model(name).aliases == {"champion": version}
