from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.plan import quotas
from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.scenario import ModelOverride, Overrides, Scenario, TeamOverride
from archlab.spec.tenancy import Quotas, Scarce


def limited(scenario: Scenario, ops: int | None, revenue: int | None, *, borrow: bool = False) -> Scenario:
    """The small scenario with a quota of requests for each team."""
    bounds = {"ops": ops, "revenue": revenue}
    teams = tuple(
        t.model_copy(update={"quotas": Quotas(requests_per_day=bounds[t.name]), "budget_usd": bounds[t.name]})
        for t in scenario.teams
    )
    return scenario.model_copy(update={"teams": teams, "borrow_quotas": borrow})


def test_without_borrowing_each_keeps_to_its_own(scenario: Scenario) -> None:
    ops, revenue = quotas.standings(limited(scenario, 100, 50), Scarce.REQUESTS, {"ops": 101, "revenue": 40})
    assert (ops.over, ops.borrowed, ops.near) == (True, 0, False)
    assert (revenue.over, revenue.near, revenue.lendable) == (False, True, 0)


def test_what_others_leave_can_be_borrowed_and_no_more(scenario: Scenario) -> None:
    shared = limited(scenario, 100, 50, borrow=True)
    ops, revenue = quotas.standings(shared, Scarce.REQUESTS, {"ops": 115, "revenue": 30})
    assert (ops.over, ops.borrowed) == (False, 15)
    assert (revenue.borrowed, revenue.lendable) == (0, 5)
    ops, revenue = quotas.standings(shared, Scarce.REQUESTS, {"ops": 121, "revenue": 30})
    assert (ops.over, ops.borrowed, revenue.lendable) == (True, 20, 0)


def test_money_is_never_borrowed(scenario: Scenario) -> None:
    ops, _ = quotas.standings(limited(scenario, 100, 50, borrow=True), Scarce.BUDGET, {"ops": 101})
    assert (ops.over, ops.borrowed) == (True, 0)


def test_a_team_without_a_limit_has_no_standing_and_lends_nothing(scenario: Scenario) -> None:
    (revenue,) = quotas.standings(limited(scenario, None, 50, borrow=True), Scarce.REQUESTS, {"revenue": 60, "ops": 9})
    assert revenue.over


@given(
    bounds=st.tuples(st.integers(0, 1000), st.integers(0, 1000)),
    used=st.tuples(st.integers(0, 2000), st.integers(0, 2000)),
    borrow=st.booleans(),
)
def test_nobody_is_within_while_all_together_take_more_than_there_is(
    scenario: Scenario, bounds: tuple[int, int], used: tuple[int, int], borrow: bool
) -> None:
    found = quotas.standings(
        limited(scenario, *bounds, borrow=borrow), Scarce.REQUESTS, dict(zip(("ops", "revenue"), used, strict=True))
    )
    assert sum(s.borrowed for s in found) <= sum(max(0, s.limit - s.used) for s in found)
    if sum(used) > sum(bounds):
        assert any(s.over for s in found)
    if borrow and sum(used) <= sum(bounds):
        assert not any(s.over for s in found)


def test_a_plan_takes_the_memory_of_all_replicas(scenario: Scenario) -> None:
    plan = layout("lab", scenario, 1, Overrides())
    assert quotas.reserved(plan)[Scarce.MEMORY] == {"ops": 4 * 64}
    more = layout("lab", scenario, 1, Overrides(models={"delay": ModelOverride(replicas=8)}))
    assert quotas.reserved(more)[Scarce.MEMORY] == {"ops": 9 * 64}
    assert quotas.reserved(plan)[Scarce.DEVICES] == {}


@pytest.mark.parametrize("what", list(Scarce))
def test_a_limit_that_was_changed_counts_and_the_others_stay(scenario: Scenario, what: Scarce) -> None:
    change = {
        Scarce.DEVICES: TeamOverride(devices=7),
        Scarce.MEMORY: TeamOverride(memory_bytes=7 << 20),
        Scarce.REQUESTS: TeamOverride(requests_per_day=7),
        Scarce.BUDGET: TeamOverride(budget_usd=7),
    }[what]
    team = override(scenario, Overrides(teams={"ops": change})).team("ops")
    assert {kind: quotas.limit(team, kind) for kind in Scarce} == {kind: 7 if kind is what else None for kind in Scarce}
