"""Who may read and call what, compiled from the scenario: teams own models, views are shared or not, grants lend. Pure.

Changes are decided by rego; this is what the hot path goes by: the gateway's routes, the registry's reads, control's
answers. What it allows, and why, is what `archlab access` shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archlab.spec.access import DEVELOPER, OPERATOR, PLATFORM_TEAM, TRAINER, Grant, May, RestrictedView

if TYPE_CHECKING:
    from archlab.spec.policy import Subject
    from archlab.spec.scenario import Overrides, Scenario


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something is allowed, and by what."""

    allow: bool
    why: str


def sees_all(subject: Subject) -> bool:
    """Whether somebody looks after the whole platform: a member of its team, or an operator."""
    return subject.team == PLATFORM_TEAM or OPERATOR in subject.roles


def writes_anywhere(subject: Subject) -> bool:
    """Whether the rule access/registry_write lets somebody change what belongs to any team."""
    return bool({OPERATOR, TRAINER} & set(subject.roles))


@dataclass(frozen=True)
class Access:
    """What each team has of models and views.

    Args:
        owners: team of each model that is declared.
        views: those that are restricted.
        grants: in force; of two about the same the later one counts.
    """

    owners: Mapping[str, str]
    views: tuple[RestrictedView, ...] = ()
    grants: tuple[Grant, ...] = ()

    @classmethod
    def of(cls, scenario: Scenario) -> Access:
        """As a resolved scenario has it."""
        return cls({m.name: m.team for m in scenario.models}, scenario.views, scenario.grants)

    def owner_of_view(self, view: str) -> str | None:
        """The team that a restricted view belongs to; None when it is everybody's."""
        return next((v.owner for v in self.views if v.view == view), None)

    def readable(self, team: str) -> tuple[str, ...]:
        """Models of other teams that a team has a grant to read."""
        return tuple(g.model for g in self.grants if g.may is May.READ and g.model and g.team == team)

    def callers(self, model: str) -> tuple[str, ...]:
        """Teams that may ask a model."""
        granted = {g.team for g in self.grants if g.may is May.CALL and g.model == model}
        return tuple(sorted({self.owners[model], PLATFORM_TEAM, *granted}))

    def call(self, subject: Subject, model: str) -> Verdict:
        """Whether somebody may ask a model. By team alone: it is what the gateway compares."""
        if subject.team == PLATFORM_TEAM:
            return Verdict(True, "the platform's own team may call every model")
        return self._used(subject.team, May.CALL, model=model)

    def read(self, subject: Subject, model: str, owner: str = "") -> Verdict:
        """Whether somebody may read a model's versions, runs, files, comparisons, releases.

        Args:
            owner: of a model that no scenario declares.
        """
        if sees_all(subject):
            return Verdict(True, _SEES_ALL)
        return self._used(subject.team, May.READ, model=model, owner=owner)

    def write(self, subject: Subject, owner: str) -> Verdict:
        """What the rule access/registry_write says of things of a team's; the rule decides, this predicts."""
        for role in (OPERATOR, TRAINER):
            if role in subject.roles:
                return Verdict(True, f"rule access/registry_write: role {role}")
        if DEVELOPER not in subject.roles:
            return Verdict(False, "rule access/registry_write: writing needs the role developer, trainer or operator")
        if owner and subject.team == owner:
            return Verdict(True, f"rule access/registry_write: a developer of {owner}")
        return Verdict(False, f"rule access/registry_write: it belongs to team {owner or 'nobody'}")

    def view(self, subject: Subject, view: str) -> Verdict:
        """Whether somebody may read rows of a view; see `hidden` for its columns."""
        owner = self.owner_of_view(view)
        if owner is None:
            return Verdict(True, f"{view} is not restricted")
        if sees_all(subject):
            return Verdict(True, _SEES_ALL)
        if subject.team == owner:
            return Verdict(True, f"{view} belongs to {owner}")
        if (grant := self._grant(subject.team, May.READ, view=view)) is None:
            return Verdict(False, f"{view} belongs to {owner}, and {subject.team} has no grant")
        without = f", without {', '.join(grant.without)}" if grant.without else ""
        return Verdict(True, f"{subject.team} has a grant to read {view}{without}")

    def hidden(self, subject: Subject, view: str) -> frozenset[str]:
        """Columns of a view that somebody who may read it may not have."""
        if sees_all(subject) or subject.team == self.owner_of_view(view):
            return frozenset()
        grant = self._grant(subject.team, May.READ, view=view)
        return frozenset(grant.without) if grant else frozenset()

    def restricted(self) -> dict[str, dict[str, list[str]]]:
        """For rules: columns that each team may not have, by restricted view and team; other teams may have none."""
        found: dict[str, dict[str, list[str]]] = {v.view: {v.owner: []} for v in self.views}
        for grant in self.grants:
            if grant.view in found:
                found[grant.view][grant.team] = sorted(grant.without)
        return found

    def _used(self, team: str, may: May, *, model: str, owner: str = "") -> Verdict:
        owner = self.owners.get(model, owner)
        if owner and team == owner:
            return Verdict(True, f"{model} belongs to {owner}")
        if self._grant(team, may, model=model):
            return Verdict(True, f"{team} has a grant to {may.value} {model}")
        belongs = f"belongs to {owner}" if owner else "is not known"
        return Verdict(False, f"{model} {belongs}, and {team} has no grant to {may.value} it")

    def _grant(self, team: str, may: May, *, model: str = "", view: str = "") -> Grant | None:
        key = (team, may.value, model, view)
        return next((g for g in reversed(self.grants) if g.key == key), None)


def settle(scenario: Scenario, overrides: Overrides) -> Scenario:
    """The scenario with grants that were made or revoked since. Twice does no harm."""
    return scenario.model_copy(
        update={"grants": merged(scenario.grants, granted=overrides.granted, revoked=overrides.revoked)}
    )


def merged(declared: Iterable[Grant], *, granted: Iterable[Grant], revoked: Iterable[Grant]) -> tuple[Grant, ...]:
    """Grants in force, each thing once."""
    gone = {g.key for g in revoked}
    found = {g.key: g for g in declared if g.key not in gone}
    return tuple((found | {g.key: g for g in granted}).values())


_SEES_ALL = "the platform's team and operators see everything"
