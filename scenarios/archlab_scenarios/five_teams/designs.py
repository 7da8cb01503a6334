"""Designs that submitted ones are measured against: functions of the scenario as resolved, and of the hidden demand."""

from __future__ import annotations

from collections.abc import Mapping

from archlab.spec.scenario import Overrides, Scenario, TeamOverride
from archlab.spec.tenancy import Isolation


def a_share_for_each(scenario: Scenario, _demand: Mapping[str, int]) -> Overrides:
    """Everybody stays in the shared pool and is held to places there: whoever becomes noisy, nothing is bought."""
    return _for_all(scenario, Isolation.SHARE)


def servers_for_each(scenario: Scenario, _demand: Mapping[str, int]) -> Overrides:
    """A pool for everybody: it holds, and is paid for day and night."""
    return _for_all(scenario, Isolation.POOL)


def nothing_between(_scenario: Scenario, _demand: Mapping[str, int]) -> Overrides:
    """As declared: one shared pool."""
    return Overrides()


def _for_all(scenario: Scenario, isolation: Isolation) -> Overrides:
    owning = {m.team for m in scenario.models}
    return Overrides(teams={t.name: TeamOverride(isolation=isolation) for t in scenario.teams if t.name in owning})
