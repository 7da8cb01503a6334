"""What somebody is shown of what control knows: members of a team their team's, the platform's team everything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TypeVar

from archlab.errors import RefusedError
from archlab.plan.access import Access, sees_all
from archlab.spec.airline import Scoreboard
from archlab.spec.grading import BatchRun
from archlab.spec.money import Line
from archlab.spec.policy import DecisionRecord, PolicyException, Standing, Subject
from archlab.spec.release import FeatureSnapshot, ReleaseFeed

T = TypeVar("T")
_OWNER = "Ask the team that owns it: archlab access explain TEAM RESOURCE"
_LABEL = re.compile(r'[{,](team|model)="((?:[^"\\]|\\.)*)"')


class Seen:
    """One subject's view; access is compiled from the scenario, and only asked for where it matters."""

    def __init__(self, subject: Subject, access: Callable[[], Access]) -> None:
        self.subject = subject
        self.everything = sees_all(subject)
        self._compiled = access

    @cached_property
    def access(self) -> Access:
        """What teams may use of each other's."""
        return self._compiled()

    def reads(self, model: str, owner: str = "") -> bool:
        """Whether a model's affairs are the subject's."""
        return self.everything or self.access.read(self.subject, model, owner).allow

    def team(self, name: str) -> bool:
        """Whether a team's affairs are the subject's."""
        return self.everything or name == self.subject.team

    def require_model(self, model: str) -> None:
        """Raises RefusedError unless the subject may read it."""
        if not self.everything and not (found := self.access.read(self.subject, model)).allow:
            raise RefusedError(f"{found.why}.", _OWNER)

    def require_team(self, team: str) -> None:
        """Raises RefusedError unless it is the subject's own."""
        if not self.team(team):
            raise RefusedError(f"That is team {team}'s; {self.subject.user} is in {self.subject.team}.", _OWNER)

    def require_everything(self, what: str) -> None:
        """Raises RefusedError for all but the platform's team and operators: it is about every team at once."""
        if not self.everything:
            raise RefusedError(f"{what} is about every team; it is for the platform's team and operators.")

    def records(self, found: Iterable[DecisionRecord]) -> list[DecisionRecord]:
        """Decisions about what the subject may read, whoever asked for them."""
        return [r for r in found if self.reads(r.query.resource.name, r.query.resource.team)]

    def of_models(self, found: Iterable[PolicyException | Standing]) -> list[PolicyException | Standing]:
        """Those of models that the subject may read."""
        return [one for one in found if self.reads(one.model)]

    def lines(self, found: Iterable[Line]) -> list[Line]:
        """The team's lines of the bill."""
        return [line for line in found if self.team(line.team)]

    def feed(self, feed: ReleaseFeed) -> ReleaseFeed:
        """The releases of models that the subject may read, and its own team's shares and quota."""
        if self.everything:
            return feed
        shares = {pool: self.teams(held) for pool, held in feed.shares.items()}
        return feed.model_copy(
            update={
                "releases": tuple(r for r in feed.releases if self.reads(r.model, r.team)),
                "shares": {pool: held for pool, held in shares.items() if held},
                "closed": self.teams(feed.closed),
            }
        )

    def teams(self, found: Mapping[str, T]) -> dict[str, T]:
        """Of what is kept by team, what is the subject's."""
        return {name: value for name, value in found.items() if self.team(name)}

    def runs(self, found: Iterable[BatchRun]) -> list[BatchRun]:
        """Batch runs of models that the subject may read."""
        return [run for run in found if self.reads(run.model)]

    def snapshot(self, manifest: FeatureSnapshot | None) -> FeatureSnapshot | None:
        """The manifest without views that the subject may not read."""
        if manifest is None or self.everything:
            return manifest
        kept = tuple(v for v in manifest.views if self.access.view(self.subject, v.view).allow)
        return manifest.model_copy(update={"views": kept})

    def scoreboard(self, board: Scoreboard) -> Scoreboard:
        """The rows of the team's own models, added up; without shared cost, which is no team's."""
        if self.everything:
            return board
        own = {model for model, team in self.access.owners.items() if team == self.subject.team}
        models = tuple(m for m in board.models if m.model in own)
        value, cost = (
            sum(m.value_nanousd for m in models),
            sum(m.used_nanousd + m.idle_nanousd for m in models),
        )
        totals = {"value_nanousd": value, "cost_nanousd": cost, "net_nanousd": value - cost, "shared_nanousd": 0}
        return board.model_copy(update={"models": models, **totals})

    def metrics(self, text: str) -> str:
        """The samples that name the team or a model that the subject may read; of none, none."""
        if self.everything:
            return text
        return "".join(line for line in text.splitlines(keepends=True) if line.startswith("#") or self._sampled(line))

    def _sampled(self, line: str) -> bool:
        labels = dict(_LABEL.findall(line))
        if labels.get("model"):
            return self.reads(labels["model"])
        return labels.get("team") == self.subject.team
