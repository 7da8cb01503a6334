"""Whose a thing in the registry is, and who may read it. Blocking; import MLflow first.

An experiment has one team, in its tag `archlab.owner_team`, which the gate writes; what lies in it, runs, logged models
and files, is that team's. A registered model has the scenario's team, else that of whoever made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from archlab.plan.access import Verdict, sees_all
from archlab.registry.content import LabContent
from archlab.registry.evidence import TEAM
from archlab.registry.things import Listing, Thing, What
from archlab.registry.view import RegistryView
from archlab.spec.policy import Subject

_NOT_OFFERED = "teams are not offered this call: nobody could say whose what it shows is"


class Ownership:
    """Looks owners up in MLflow's store and in the lab's scenario."""

    def __init__(self, view: RegistryView, content: LabContent) -> None:
        self._view = view
        self._content = content

    def owner(self, thing: Thing) -> str | None:
        """The team that a thing belongs to; empty for nobody's, None when there is no such thing."""
        view, name = self._view, thing.name
        match thing.what:
            case What.MODEL:
                if declared := self._content.team(name):
                    return declared
                model = view.model(name)
                return model.team if model else None
            case What.EXPERIMENT:
                return view.experiment_team(name)
            case What.EXPERIMENT_NAME:
                found = view.experiment_named(name)
                return view.experiment_team(found) if found else None
            case What.RUN:
                experiment = view.experiment(name)
                return view.experiment_team(experiment) if experiment else None
            case What.LOGGED_MODEL:
                experiment = view.experiment_of_logged_model(name)
                return view.experiment_team(experiment) if experiment else None
            case What.FILES:
                return view.experiment_team(name.partition("/")[0])

    def read(self, subject: Subject, things: list[Thing] | None) -> Verdict:
        """Whether somebody may read all of these; None is what teams are not offered."""
        if sees_all(subject):
            return Verdict(True, "")
        if things is None:
            return Verdict(False, _NOT_OFFERED)
        verdicts = (self._read(subject, thing) for thing in things)
        return next((v for v in verdicts if not v.allow), Verdict(True, ""))

    def _read(self, subject: Subject, thing: Thing) -> Verdict:
        owner = self.owner(thing)
        if thing.what is What.MODEL:
            known = owner is not None
            return self._content.access().read(subject, thing.name, owner or "") if known else Verdict(True, "")
        if owner is None and thing.what is not What.FILES:
            return Verdict(True, "")  # MLflow says that there is no such thing
        if (owner and owner == subject.team) or self._lent(subject, thing):
            return Verdict(True, "")
        return Verdict(False, f"{thing} belongs to {owner or 'the platform'}, not to {subject.team}")

    def _lent(self, subject: Subject, thing: Thing) -> bool:
        """Whether it is a run, a logged model or a file of a version that the team may read."""
        return any(
            thing.name in (origin.run_id, origin.model_id)
            or (thing.what is What.FILES and origin.path and _within(thing.name, origin.path))
            for model in self._content.access().readable(subject.team)
            for origin in self._view.origins(model)
        )

    def shown(self, subject: Subject, listing: Listing, answer: bytes) -> tuple[bytes, bool, str]:
        """A listing's page without what is not the team's, whether anything is left, and the next page's token.

        Raises:
            ValueError: it is no listing.
        """
        page: dict[str, Any] = json.loads(answer)
        rows = page.get(listing.value, [])
        if listing is Listing.EXPERIMENTS:
            kept = [row for row in rows if _is_of(row, subject.team)]
        else:
            names = {str(row["name"]) for row in rows}
            readable = {name for name in names if self._read(subject, Thing(What.MODEL, name)).allow}
            kept = [row for row in rows if str(row["name"]) in readable]
        content = json.dumps({**page, listing.value: kept}).encode()
        return content, bool(kept) or not rows, str(page.get("next_page_token") or "")


def _is_of(experiment: Mapping[str, Any], team: str) -> bool:
    tags = {tag["key"]: tag.get("value", "") for tag in experiment.get("tags", [])}
    return bool(tags.get(TEAM)) and tags[TEAM] == team


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
