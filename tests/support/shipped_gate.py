"""The rules as shipped, asked about versions that a recorded lab has, at any business time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from archlab import identity
from archlab.grading.proof import recording
from archlab.grading.proof.recasting import recast
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.plan.resolve import resolve
from archlab.policy.bundle import load, publish
from archlab.policy.embedded import EmbeddedEngine
from archlab.policy.lifecycle import RETIRE
from archlab.registry import evidence as ev
from archlab.registry import exceptions, lifecycle
from archlab.registry.facts import as_registered, fingerprint
from archlab.settings import LabFolder
from archlab.spec.grading import Evidence, VersionFacts
from archlab.spec.policy import PolicyResource, Query, Standing, Subject

RULES = {
    *("data/restricted_columns", "deployment/features_served", "deployment/holiday_freeze"),
    *("promotion/approval_is_recent", "promotion/approved_by_another", "promotion/beats_baseline_and_champion"),
    *("promotion/enough_holdout", "promotion/evidence_complete_and_fresh", "promotion/onnx_matches"),
    *("retention/former_champions", "retention/legal_hold", "lifecycle/retired_after_sunset"),
    *("exception/granted_by_another", "exception/limited", "exception/waivable_rule"),
}
"""Rules that the scenario is about; what others want to know besides is not made up here."""

FOLDER = scenario_folder("approval-gates")
SEEDS = range(1, 13)

LEARNER = Subject(user="learner", team="platform", roles=("developer", "operator"))


@dataclass(frozen=True)
class ShippedGate:
    """Decides by the embedded engine."""

    engine: EmbeddedEngine
    waivable: Mapping[str, bool]

    @classmethod
    def made(cls, root: Path) -> ShippedGate:
        """With a bundle of its own, below a folder."""
        folder = LabFolder(root / "lab")
        folder.root.mkdir()
        folder.policies.mkdir()
        identity.create_keys(folder)
        publish(folder)
        return cls(EmbeddedEngine(folder), {rule.id: rule.waivable for rule in load(folder).bundle.rules})

    def promotion(
        self, lab: Evidence, facts: VersionFacts, champion: VersionFacts, now: datetime, *, alias: str = "champion"
    ) -> set[str]:
        """Rules that object to this version taking that one's place (or becoming challenger) now."""
        views = [f.view for f in lab.scenario.features]
        about = ev.promotion(as_registered(facts), as_registered(champion), None, now, served_views=views)
        team = lab.scenario.model(facts.model).team
        return self._decide(f"promotion/{alias}", _resource(facts, team), about, now)

    def deletion(self, lab: Evidence, facts: VersionFacts, now: datetime) -> set[str]:
        """Rules that object to its deletion now."""
        about = ev.deletion({facts.version: facts.tags}, now)
        return self._decide("retention/delete", _resource(facts, lab.scenario.model(facts.model).team), about, now)

    def exception(self, lab: Evidence, rule: str, model: str, who: str, until: str) -> set[str]:
        """Rules that object to an exception that somebody asks for at the start."""
        now, user = lab.scenario.starts, lab.scenario.user(who)
        value = json.dumps({"until": until, "owner": who, "reason": "the hold-out is small until labels come"})
        authors = [v.author for v in lab.versions if v.model == model]
        about = exceptions.grant(rule, value, self.waivable, authors, now.isoformat(), now)
        resource = PolicyResource(kind="registered-model", name=model, team=lab.scenario.model(model).team)
        subject = Subject(user=who, team=user.team, roles=user.roles)
        return self._decide("exception/grant", resource, about, now, subject=subject)

    def retirement(self, lab: Evidence, model: str, sunset: datetime, now: datetime) -> set[str]:
        """Rules that object to retiring a model that was deprecated at the start."""
        since = lab.scenario.starts
        standing = Standing(
            id="d1", state="deprecated", model=model, model_created="", since=since, sunset=sunset, by="learner"
        )
        about = lifecycle.move(RETIRE, "nobody asks it any more", [standing], {"champion": "1"}, now)
        resource = PolicyResource(kind="registered-model", name=model, team=lab.scenario.model(model).team)
        return self._decide(RETIRE, resource, about, now)

    def _decide(
        self, action: str, resource: PolicyResource, about: dict[str, Any], now: datetime, *, subject: Subject = LEARNER
    ) -> set[str]:
        query = Query(subject=subject, action=action, resource=resource, evidence=about, time=now)
        return {reason.rule for reason in self.engine.decide(query).reasons} & RULES


def _resource(facts: VersionFacts, team: str) -> PolicyResource:
    tags = dict(facts.tags)
    return PolicyResource(kind="model-version", name=facts.model, version=facts.version, team=team, tags=tags)


def approved(facts: VersionFacts, when: datetime, changes: Mapping[str, str] | None = None) -> VersionFacts:
    """The version with other tags, approved as it is then by the approver."""
    made = facts.model_copy(update={"tags": {**facts.tags, **(changes or {})}, "approved_by": "approver"})
    tags = {ev.APPROVED_BY: "approver", ev.APPROVED_AT: when.isoformat(), ev.APPROVED_EVIDENCE: fingerprint(made)}
    return made.model_copy(update={"tags": {**made.tags, **tags}})


@cache
def untouched(seed: int) -> Evidence:
    """The scenario's lab as a seed begins it."""
    return recast(recording.load(FOLDER)[0].start, *resolve(load_scenario(FOLDER / "scenario.yaml"), seed))
