"""The access matrix: what is declared, stated here by hand, and how an answer is read."""

from __future__ import annotations

import pytest

from archlab.lab.matrix import Probe, _answered, declared, members
from archlab.plan.loading import load_scenario
from archlab.settings import scenarios_root
from archlab.spec.policy import Subject
from archlab.spec.scenario import Scenario

BOTH = "operations-caller care-caller care-lead learner finance"


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(scenarios_root() / "five_teams" / "scenario.yaml")


def subject(scenario: Scenario, name: str) -> Subject:
    user = scenario.user(name)
    return Subject(user=user.name, team=user.team, roles=user.roles)


def probe(layer: str, resource: str, owner: str, verb: str) -> Probe:
    return Probe(layer, resource, owner, verb, "GET", "/")


def test_one_member_of_each_team_and_set_of_roles_tries(scenario: Scenario) -> None:
    found = members(scenario)
    assert len({(u.team, tuple(sorted(u.roles))) for u in found}) == len(found)
    assert {u.team for u in found} == {team.name for team in scenario.teams}


@pytest.mark.parametrize(
    ("layer", "resource", "owner", "verb", "who"),
    [
        ("gateway", "departure-delay", "operations", "call", BOTH),
        (
            "gateway",
            "missed-connection",
            "customer-care",
            "call",
            BOTH,
        ),
        ("gateway", "route-segments", "revenue", "call", "learner finance"),
        (
            "registry",
            "departure-delay",
            "operations",
            "read",
            BOTH,
        ),
        ("registry", "missed-connection", "customer-care", "read", "care-caller care-lead learner finance"),
        ("registry", "missed-connection", "customer-care", "write", "care-lead learner trainer"),
        ("runs", "departure-delay", "operations", "write", "learner trainer"),
        ("experiments", "departure-delay", "operations", "read", "operations-caller learner finance"),
        ("ledger", "bill of revenue", "revenue", "read", "learner finance"),
        ("quotas", "requests of revenue", "revenue", "read", "learner finance"),
        ("quotas", "requests of operations", "operations", "read", "operations-caller learner finance"),
        ("traffic", "departure-delay", "operations", "read", BOTH),
        ("traffic", "route-segments", "revenue", "read", "learner finance"),
        ("features", "weather", "platform", "read", BOTH),
        ("features", "aircraft_profile", "maintenance", "read", "operations-caller learner finance"),
        ("features", "aircraft_profile.profile_age", "maintenance", "read", "learner finance"),
        (
            "features",
            "aircraft_state",
            "maintenance",
            "read",
            BOTH,
        ),
        ("search", "departure-delay", "operations", "read", BOTH),
    ],
)
def test_what_is_declared(scenario: Scenario, layer: str, resource: str, owner: str, verb: str, who: str) -> None:
    tried = {"operations-caller", "care-caller", "care-lead", "learner", "finance"} | set(who.split())
    may = {u for u in tried if declared(scenario, subject(scenario, u), probe(layer, resource, owner, verb)).allow}
    assert may == set(who.split())


@pytest.mark.parametrize(
    ("verb", "shows", "status", "text", "found"),
    [
        ("read", "", 200, "", True),
        ("read", "", 404, "", True),
        ("write", "", 400, "", True),
        ("write", "", 403, "", False),
        ("read", "", 401, "", False),
        ("read", "", 500, "", None),
        ("read", "", 503, "", None),
        ("call", "", 503, "", True),
        ("call", "", 429, "", None),
        ("read", '"name": "a"', 200, '{"name":"a"}', True),
        ("read", '"name": "a"', 200, '{"name":"ab"}', False),
        ("read", '"name": "a"', 404, '{"name":"a"}', None),
    ],
)
def test_how_an_answer_is_read(verb: str, shows: str, status: int, text: str, found: bool | None) -> None:
    assert _answered(Probe("x", "x", "x", verb, "GET", "/", shows=shows), status, text) is found
