"""Deprecated and retired versions and models, as the decision log has them. Pure.

candidate -> challenger -> champion -> deprecated -> retired. What is candidate, challenger or champion, the registry's
aliases say. What is on its way out, the log says: a tag that somebody deletes in the registry's database brings nothing
back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import ValidationError

from archlab.policy.chain import record_hash
from archlab.policy.deletions import DELETE
from archlab.spec.policy import DecisionRecord, Notice, Standing

DEPRECATE, REINSTATE, RETIRE = "lifecycle/deprecate", "lifecycle/reinstate", "lifecycle/retire"
ACTIONS = (DEPRECATE, REINSTATE, RETIRE, DELETE)
"""What puts a version or model on its way out, and what takes it off again."""


def from_records(records: Iterable[DecisionRecord]) -> list[Standing]:
    """What is deprecated or retired, in the order in which that was decided, from the log's records in their order."""
    found: list[Standing] = []
    for record in records:
        about, action = record.query.resource, record.query.action
        if not record.decision.allow or action not in ACTIONS or record.hash != record_hash(record):
            continue
        if action == DELETE:
            found = [s for s in found if not (s.model == about.name and about.version in ("", s.version))]
            continue
        before = next((s for s in found if (s.model, s.version) == (about.name, about.version)), None)
        found = [s for s in found if s is not before]
        if action != REINSTATE and (standing := _standing(record, before)):
            found.append(standing)
    return found


def state_of(standings: Sequence[Standing], version: str) -> str:
    """`retired`, `deprecated` or empty, for a version of the model that these are about; for the model itself if empty.

    A model that is deprecated as a whole may still get a new champion: its callers have to be answered until the end.
    """
    if any(s.state == "retired" and s.version in ("", version) for s in standings):
        return "retired"
    return "deprecated" if any(s.version == version for s in standings) else ""


def notice(standings: Iterable[Standing], model: str, version: str) -> Notice | None:
    """What callers of a version have to be told: its own sunset or its model's, whichever comes first."""
    found = [
        Notice(since=s.since, sunset=s.sunset)
        for s in standings
        if s.state == "deprecated" and s.sunset and s.model == model and s.version in ("", version)
    ]
    return min(found, key=lambda told: told.sunset) if found else None


def sunset_of(standings: Iterable[Standing], version: str) -> datetime | None:
    """When what is deprecated ends, of a version or, if empty, of the model itself."""
    return next((s.sunset for s in standings if s.version == version), None)


def _standing(record: DecisionRecord, before: Standing | None) -> Standing | None:
    query = record.query
    deprecated = query.action == DEPRECATE
    try:
        return Standing(
            id=record.id,
            state="deprecated" if deprecated else "retired",
            model=query.resource.name,
            model_created=query.evidence.get("model_created", ""),
            version=query.resource.version,
            since=before.since if before and deprecated else record.business_time,
            sunset=query.evidence.get("sunset") if deprecated else None,
            reason=query.evidence.get("reason", ""),
            by=query.subject.user,
        )
    except ValidationError:
        return None
