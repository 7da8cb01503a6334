from __future__ import annotations

import pytest

from archlab.errors import UserError
from archlab.plan.difference import diff
from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.scenario import Mode, ModelOverride, Overrides, Scenario, TeamOverride
from archlab.spec.tenancy import Isolation


@pytest.fixture
def shared(scenario: Scenario) -> Scenario:
    """Ops and revenue in one pool, whose servers hold something themselves; nothing between the teams."""
    pools = tuple(p.model_copy(update={"base_millicores": 601, "places": 9}) for p in scenario.pools)
    models = tuple(m.model_copy(update={"mode": Mode.ONLINE, "pool": "online"}) for m in scenario.models)
    teams = tuple(t.model_copy(update={"isolation": Isolation.NONE}) for t in scenario.teams)
    return scenario.model_copy(update={"pools": pools, "models": models, "teams": teams})


def use(isolation: Isolation, *teams: str, **models: ModelOverride) -> Overrides:
    return Overrides(teams={t: TeamOverride(isolation=isolation) for t in teams}, models=models)


def held(scenario: Scenario, overrides: Overrides, part: str) -> dict[tuple[str, str], tuple[int, int]]:
    plan = layout("lab", scenario, 1, overrides)
    return {(r.model, r.unit): (r.replicas, r.cpu_millicores) for r in plan.reservations if r.part == part}


def test_each_isolation_puts_one_thing_between_a_team_and_the_others(shared: Scenario) -> None:
    nothing = layout("lab", shared, 1, Overrides())
    assert (nothing.limits, nothing.shares) == ({}, {})
    assert layout("lab", shared, 1, use(Isolation.LIMIT, "revenue")).limits == {"revenue": 50}
    assert layout("lab", shared, 1, use(Isolation.SHARE, "revenue")).shares == {"online": {"revenue": 4}}
    own = layout("lab", shared, 1, use(Isolation.POOL, "revenue"))
    assert (own.limits, own.shares) == ({}, {})
    assert own.unit("revenue").team == "revenue"
    assert {r.model: {b.unit for b in r.backends} for r in own.routes} == {
        "delay": {"online"},
        "segments": {"revenue"},
        "congestion": {"online"},
    }


def test_shares_are_by_weight_and_never_nothing(shared: Scenario) -> None:
    both = use(Isolation.SHARE, "ops", "revenue")
    assert layout("lab", shared, 1, both).shares == {"online": {"ops": 4, "revenue": 4}}
    heavy = both.model_copy(update={"teams": {**both.teams, "ops": TeamOverride(isolation=Isolation.SHARE, weight=90)}})
    assert layout("lab", shared, 1, heavy).shares == {"online": {"ops": 8, "revenue": 1}}


def test_servers_are_paid_by_whose_models_they_serve_to_the_last_millicore(shared: Scenario) -> None:
    together = held(shared, Overrides(), "server")
    assert together == {
        ("delay", "online"): (3, 200),
        ("segments", "online"): (3, 200),
        ("congestion", "online"): (3, 201),
    }
    apart = held(shared, use(Isolation.POOL, "revenue"), "server")
    assert apart == {
        ("delay", "online"): (3, 300),
        ("congestion", "online"): (3, 301),
        ("segments", "revenue"): (2, 601),
    }
    assert held(shared, use(Isolation.POOL, "revenue"), "model") == {
        (model, "revenue" if model == "segments" else unit): size
        for (model, unit), size in held(shared, Overrides(), "model").items()
    }


def test_a_pool_that_everybody_left_is_given_up(shared: Scenario) -> None:
    plan = layout("lab", shared, 1, use(Isolation.POOL, "ops", "revenue"))
    assert [u.name for u in plan.units if u.serves == "onnx"] == ["ops", "revenue"]
    free = shared.model_copy(update={"pools": tuple(p.model_copy(update={"base_millicores": 0}) for p in shared.pools)})
    assert "online" in {u.name for u in layout("lab", free, 1, use(Isolation.POOL, "ops", "revenue")).units}


def test_a_team_whose_answers_are_all_in_tables_gets_no_servers(shared: Scenario) -> None:
    plan = layout("lab", shared, 1, use(Isolation.POOL, "revenue", segments=ModelOverride(mode=Mode.BATCH)))
    assert "revenue" not in {u.name for u in plan.units}


def test_settling_twice_does_no_harm(shared: Scenario) -> None:
    change = use(Isolation.POOL, "revenue")
    once = override(shared, change)
    assert override(once, change) == once


def test_the_difference_names_what_comes_between(shared: Scenario) -> None:
    plans = {i: layout("lab", shared, 1, use(i, "revenue")) for i in Isolation}
    none = plans[Isolation.NONE]
    assert diff(none, plans[Isolation.LIMIT]) == ("limit team revenue to 50 requests a second",)
    assert diff(plans[Isolation.LIMIT], none) == ("lift the limit of team revenue",)
    assert diff(none, plans[Isolation.SHARE]) == ("give team revenue 4 places in each server of online",)
    assert diff(plans[Isolation.SHARE], none) == ("let team revenue take any place in online",)
    assert diff(none, plans[Isolation.POOL]) == (
        "start revenue (2 replicas)",
        "move segments from online × 1 to revenue × 1",
    )


def test_teams_that_are_not_there_are_named(shared: Scenario) -> None:
    with pytest.raises(UserError, match="There is no team 'sales'"):
        override(shared, use(Isolation.LIMIT, "sales"))
