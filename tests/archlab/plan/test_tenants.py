"""Which teams have something to themselves on a cluster, who is of them, and what they may hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.devices import MIB
from archlab.spec.plan import Tenant
from archlab.spec.scenario import Overrides, Scenario, TeamOverride, User
from archlab.spec.tenancy import Isolation, Quotas


@pytest.fixture(scope="module")
def limited(scenario: Scenario) -> Scenario:
    """Ops may take 512 MiB and a card, and takes 256 MiB; revenue may take 128 MiB, and takes nothing."""
    bounds = {
        "ops": Quotas(memory_bytes=512 * MIB, devices=1),
        "revenue": Quotas(memory_bytes=128 * MIB),
    }
    teams = tuple(t.model_copy(update={"quotas": bounds.get(t.name, Quotas())}) for t in scenario.teams)
    return scenario.model_copy(update={"teams": teams})


def tenants(scenario: Scenario, overrides: Overrides | None = None) -> dict[str, Tenant]:
    return {tenant.team: tenant for tenant in layout("lab", scenario, 1, overrides or Overrides()).tenants}


def test_a_team_with_a_quota_is_one_and_may_have_a_server_for_each_replica_of_its_smallest_model(
    limited: Scenario,
) -> None:
    found = tenants(limited)
    assert list(found) == ["ops", "revenue"]
    assert (found["ops"].replicas, found["ops"].devices) == (8, 1)
    assert (found["revenue"].replicas, found["revenue"].devices) == (2, None)


def test_a_team_without_models_may_have_servers_too(limited: Scenario) -> None:
    others = tuple(model for model in limited.models if model.team != "revenue")
    assert tenants(limited.model_copy(update={"models": others}))["revenue"].replicas == 2


def test_its_members_are_its_users_with_their_roles(limited: Scenario) -> None:
    more = User(name="caller", team="ops", roles=("viewer",))
    found = tenants(limited.model_copy(update={"users": (*limited.users, more)}))
    declared = {user.name: user.roles for user in limited.users if user.team == "ops"}
    assert found["ops"].members == {**declared, "caller": ("viewer",)}


def test_without_quotas_only_who_has_a_pool_of_its_own_is_one(scenario: Scenario) -> None:
    assert tenants(scenario) == {}
    apart = Overrides(teams={"ops": TeamOverride(isolation=Isolation.POOL)})
    assert {name: (t.replicas, t.devices) for name, t in tenants(scenario, apart).items()} == {"ops": (None, None)}


def test_what_others_leave_can_be_held_while_borrowing_is_on(limited: Scenario) -> None:
    found = tenants(limited, Overrides(borrow_quotas=True))
    assert found["ops"].replicas == (512 + 256 + 128) // 64
    assert found["revenue"].replicas == (128 + 256 + 128) // 64


@given(memory=st.integers(0, 4096), devices=st.integers(0, 9))
def test_a_limit_that_is_changed_is_followed(limited: Scenario, memory: int, devices: int) -> None:
    raised = Overrides(teams={"revenue": TeamOverride(memory_bytes=memory * MIB, devices=devices)})
    found = tenants(limited, raised)["revenue"]
    assert (found.replicas, found.devices) == (memory // 64, devices)
    assert tenants(override(limited, raised), raised)["revenue"] == found, "twice does no harm"
