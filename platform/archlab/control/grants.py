"""Grants from team to team: decided by rules, on record before they take effect."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from archlab.control import decisions
from archlab.control.decisions import Decided
from archlab.control.service import Service
from archlab.errors import NotFoundError, RefusedError
from archlab.plan.access import Access
from archlab.settings import LabFolder
from archlab.spec.access import Grant
from archlab.spec.base import Spec
from archlab.spec.policy import PolicyEngine, PolicyResource, Query, Subject

Action = Literal["access/grant", "access/revoke"]


class Asked(Spec):
    """Body of `POST /grants` and `DELETE /grants`."""

    grant: Grant
    reason: str = ""


def decide(service: Service, subject: Subject, asked: Asked, action: Action) -> Grant:
    """The grant with its decision.

    Raises:
        NotFoundError: there is no such team, model or restricted view.
        RefusedError: a rule objects; the message has every reason.
    """
    scenario, grant = service.scenario, asked.grant
    access = Access.of(scenario)
    owner = access.owners.get(grant.model) or access.owner_of_view(grant.view)
    if owner is None:
        raise NotFoundError(f"There is no model or restricted view {grant.resource!r}.", "See: archlab access grants")
    if grant.team not in {team.name for team in scenario.teams}:
        raise NotFoundError(f"There is no team {grant.team!r}.", "See: archlab access grants")
    kind = "model" if grant.model else "feature-view"
    query = Query(
        subject=subject,
        action=action,
        resource=PolicyResource(kind=kind, name=grant.resource, team=owner),
        evidence={"team": grant.team, "may": grant.may.value, "without": list(grant.without), "reason": asked.reason},
        time=service.business_time(),
    )
    decision = _engine(service.folder).decide(query)
    record = decisions.append(service.store, Decided(query=query, decision=decision), query.time)
    if not decision.allow:
        reasons = "; ".join(f"{reason.rule}: {reason.message}" for reason in decision.reasons)
        raise RefusedError(f"Refused by {reasons}", f"Decided by {decision.engine}, record {record.id}.")
    return grant.model_copy(update={"decision": record.id})


@cache
def _engine(folder: LabFolder) -> PolicyEngine:
    from archlab.policy.embedded import EmbeddedEngine

    return EmbeddedEngine(folder)


def listed(service: Service, subject: Subject, *, everything: bool) -> list[dict[str, Any]]:
    """Grants in force that are a team's affair: what it was granted, and what it owns; all of them for the platform."""
    scenario = service.scenario
    access = Access.of(scenario)
    found = []
    for grant in scenario.grants:
        owner = access.owners.get(grant.model) or access.owner_of_view(grant.view) or ""
        if everything or subject.team in (owner, grant.team):
            found.append({**grant.model_dump(mode="json"), "owner": owner})
    return found
