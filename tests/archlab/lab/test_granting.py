"""A grant as it is typed: what it becomes, and what is said of one that means nothing."""

from __future__ import annotations

import pytest

from archlab.errors import NotFoundError, UserError
from archlab.lab.granting import parse
from archlab.plan.loading import load_scenario
from archlab.settings import scenarios_root
from archlab.spec.access import Grant, May
from archlab.spec.scenario import Scenario


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(scenarios_root() / "five_teams" / "scenario.yaml")


def test_a_model_or_a_restricted_view_is_meant(scenario: Scenario) -> None:
    model = Grant(team="revenue", may=May.CALL, model="departure-delay")
    view = Grant(team="revenue", may=May.READ, view="aircraft_state", without=("tail_age",))
    assert parse(scenario, "revenue", "call", "departure-delay") == model
    assert parse(scenario, "revenue", "read", "aircraft_state", ("tail_age",)) == view


@pytest.mark.parametrize(
    ("may", "resource", "without", "said"),
    [
        ("call", "aircraft_state", (), "That is no grant: view aircraft_state can be read, not called."),
        ("call", "departure-delay", ("hour",), "only views have columns to leave out."),
        ("write", "departure-delay", (), "'write' can't be granted."),
    ],
)
def test_why_it_can_be_none_is_said(
    scenario: Scenario, may: str, resource: str, without: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UserError) as refused:
        parse(scenario, "revenue", may, resource, without)
    assert said in refused.value.message


def test_what_there_is_not_is_named(scenario: Scenario) -> None:
    with pytest.raises(NotFoundError, match="no model or restricted view 'none'"):
        parse(scenario, "revenue", "read", "none")
