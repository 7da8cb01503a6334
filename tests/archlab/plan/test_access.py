"""What teams may call and read, compiled from a scenario."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from archlab.errors import UserError
from archlab.plan.access import Access, merged
from archlab.plan.layout import diff, layout
from archlab.plan.resolve import override
from archlab.spec.access import Grant, May, RestrictedView
from archlab.spec.policy import Subject
from archlab.spec.scenario import Overrides, Scenario

ACCESS = Access(
    owners={"delay": "ops", "segments": "revenue"},
    views=(RestrictedView(view="state", owner="maintenance"), RestrictedView(view="fares", owner="revenue")),
    grants=(
        Grant(team="revenue", may=May.CALL, model="delay"),
        Grant(team="care", may=May.READ, model="delay"),
        Grant(team="ops", may=May.READ, view="state", without=("age",)),
    ),
)


def member(team: str, *roles: str) -> Subject:
    return Subject(user="somebody", team=team, roles=roles or ("developer",))


def test_a_model_is_called_by_its_team_the_platform_and_whoever_was_granted_it() -> None:
    assert ACCESS.callers("delay") == ("ops", "platform", "revenue")
    assert [t for t in ("ops", "platform", "revenue", "care") if ACCESS.call(member(t), "delay").allow] == [
        *("ops", "platform", "revenue")
    ]
    assert ACCESS.call(member("care"), "delay").why == "delay belongs to ops, and care has no grant to call it"


def test_calling_is_not_reading_and_reading_not_calling() -> None:
    assert not ACCESS.read(member("revenue"), "delay").allow
    assert ACCESS.read(member("care"), "delay").why == "care has a grant to read delay"
    assert not ACCESS.call(member("care"), "delay").allow


def test_an_operator_reads_everything_and_calls_as_the_team_that_it_is_in() -> None:
    assert ACCESS.read(member("care", "operator"), "segments").allow
    assert not ACCESS.call(member("care", "operator"), "segments").allow


def test_a_model_that_nobody_declared_belongs_to_whom_the_registry_says() -> None:
    assert ACCESS.read(member("care"), "draft", owner="care").allow
    assert not ACCESS.read(member("care"), "draft", owner="ops").allow
    assert not ACCESS.read(member(""), "draft", owner="").allow
    assert not ACCESS.read(member("ops"), "segments", owner="ops").allow, "what the scenario says counts first"


def test_a_restricted_view_has_columns_for_each_team() -> None:
    assert ACCESS.view(member("care"), "weather").allow
    assert not ACCESS.view(member("care"), "state").allow
    assert ACCESS.view(member("ops"), "state").allow
    assert ACCESS.hidden(member("ops"), "state") == {"age"}
    assert ACCESS.hidden(member("maintenance"), "state") == ACCESS.hidden(member("platform"), "state") == frozenset()
    assert ACCESS.restricted() == {"state": {"maintenance": [], "ops": ["age"]}, "fares": {"revenue": []}}


def test_writing_is_for_developers_of_the_team() -> None:
    assert ACCESS.write(member("ops"), "ops").allow
    assert not ACCESS.write(member("ops", "viewer"), "ops").allow
    assert not ACCESS.write(member("ops"), "revenue").allow
    assert not ACCESS.write(member(""), "").allow
    assert ACCESS.write(member("platform", "trainer"), "ops").allow


def test_the_newest_grant_about_a_thing_counts() -> None:
    old, new = (Grant(team="ops", may=May.READ, view="state", without=w) for w in (("age",), ()))
    other = Grant(team="ops", may=May.CALL, model="delay")
    assert merged([old, other], granted=[new], revoked=[]) == (new, other)
    assert merged([old, other], granted=[], revoked=[new]) == (other,)
    assert merged(merged([old], granted=[new], revoked=[old]), granted=[new], revoked=[old]) == (new,)


@pytest.mark.parametrize(
    "fields",
    [
        {"team": "ops", "may": "call"},
        {"team": "ops", "may": "call", "model": "delay", "view": "state"},
        {"team": "ops", "may": "call", "view": "state"},
        {"team": "ops", "may": "write", "model": "delay"},
        {"team": "ops", "may": "call", "model": "delay", "without": ["age"]},
    ],
)
def test_a_grant_that_means_nothing_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Grant.model_validate(fields)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"grants": [{"team": "none", "may": "call", "model": "delay"}]}, "team 'none'"),
        ({"grants": [{"team": "ops", "may": "call", "model": "none"}]}, "model 'none'"),
        ({"grants": [{"team": "ops", "may": "read", "view": "weather"}]}, "not among the restricted"),
        ({"views": [{"view": "weather", "owner": "none"}]}, "team 'none'"),
        ({"views": [{"view": "weather", "owner": "ops"}] * 2}, "the same"),
    ],
)
def test_a_scenario_names_only_what_it_declares(scenario: Scenario, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Scenario.model_validate({**scenario.model_dump(), **changes})


def test_a_grant_changes_the_plan_of_one_route_and_is_told_in_words(scenario: Scenario) -> None:
    grant = Grant(team="revenue", may=May.CALL, model="delay")
    before = layout("lab", scenario, 1, Overrides())
    after = layout("lab", scenario, 1, Overrides(granted=(grant,)))
    assert {r.model: r.callers for r in before.routes}["delay"] == ("ops", "platform")
    assert diff(before, after) == ("let team revenue call delay",)
    assert diff(after, before) == ("refuse team revenue at delay",)
    assert override(override(scenario, Overrides(granted=(grant,))), Overrides(granted=(grant,))).grants == (grant,)


def test_an_override_names_only_what_there_is(scenario: Scenario) -> None:
    with pytest.raises(UserError, match="no restricted view 'weather'"):
        override(scenario, Overrides(granted=(Grant(team="ops", may=May.READ, view="weather"),)))
