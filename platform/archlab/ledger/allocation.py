"""Who can be asked to pay for a record: settled once, when it is recorded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.money import Usage
from archlab.spec.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Owners:
    """Teams and models that a lab declares."""

    teams: Collection[str]
    models: Collection[str]

    @classmethod
    def of(cls, scenario: Scenario) -> Owners:
        """Of a scenario; the platform is always one of the teams."""
        return cls({PLATFORM_TEAM, *(t.name for t in scenario.teams)}, {m.name for m in scenario.models})

    def allocated(self, usage: Usage) -> Usage:
        """The record; where nobody can be asked to pay, with the reason."""
        reason = usage.reason or self._reason(usage)
        return usage if reason == usage.reason else usage.model_copy(update={"reason": reason})

    def _reason(self, usage: Usage) -> str:
        if not usage.team:
            return "it names no team"
        if usage.team not in self.teams:
            return f"there is no team {usage.team}"
        if usage.model and usage.model not in self.models:
            return f"there is no model {usage.model}"
        return ""
