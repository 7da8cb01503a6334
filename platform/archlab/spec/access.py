"""Who may use what of another team's: declared views, and grants from team to team."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from .base import Slug, Spec

PLATFORM_TEAM = "platform"
"""The team that runs the platform: it sees everything, and owns what all teams share."""

OPERATOR, TRAINER, DEVELOPER, APPROVER, VIEWER = "operator", "trainer", "developer", "approver", "viewer"


class May(StrEnum):
    """What a grant lets a team do with a model or view of another team's. Writing can't be granted."""

    CALL = "call"
    """Ask a model through the gateway."""
    READ = "read"
    """Of a model: its versions, runs and files in the registry. Of a view: its rows, and models that look it up."""


class RestrictedView(Spec):
    """A feature view for its owner and for teams with a grant. A view that is not declared so is everybody's."""

    view: str = Field(min_length=1)
    owner: Slug


class Grant(Spec):
    """One team may use something of another team's."""

    team: Slug
    may: May
    model: str = ""
    view: str = ""
    without: tuple[str, ...] = ()
    """Columns of the view that the team may not have."""
    decision: str = ""
    """Of the record that decided it; empty for what the scenario declares."""

    @model_validator(mode="after")
    def _one_thing(self) -> Grant:
        if bool(self.model) == bool(self.view):
            raise ValueError("a grant names a model or a view, one of them")
        if self.view and self.may is May.CALL:
            raise ValueError(f"view {self.view} can be read, not called")
        if self.model and self.without:
            raise ValueError(f"{self.model} is a model: only views have columns to leave out")
        return self

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is about; of two grants with the same key the later one counts."""
        return (self.team, self.may.value, self.model, self.view)

    @property
    def resource(self) -> str:
        """The model or view."""
        return self.model or self.view
