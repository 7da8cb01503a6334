"""Exceptions from rules, as the decision log has them: granted, replaced, revoked, run out. Pure.

The log is the only place they come from. A tag that somebody writes into the registry's database waives nothing, and a
record that was changed by hand grants nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from archlab.policy.chain import record_hash
from archlab.policy.deletions import DELETE
from archlab.spec.policy import DecisionRecord, PolicyException

GRANT, REVOKE = "exception/grant", "exception/revoke"
ACTIONS = (GRANT, REVOKE, DELETE)
"""What begins and ends exceptions."""

SECONDS_PER_DAY = 86_400


def from_records(records: Iterable[DecisionRecord]) -> list[PolicyException]:
    """Every exception there ever was, oldest first, from the log's records in their order."""
    found: list[PolicyException] = []
    for record in records:
        if not record.decision.allow or record.query.action not in ACTIONS or record.hash != record_hash(record):
            continue
        found = [_ended(one, record) if _ends(record, one) else one for one in found]
        if record.query.action == GRANT and (granted := _granted(record)):
            found.append(granted)
    return found


def brought(
    exceptions: Iterable[PolicyException], *, created: str, version: str, digest: str, now: datetime
) -> list[dict[str, Any]]:
    """What a query about a version brings of its model's exceptions, lapsed ones included.

    Args:
        exceptions: of the model's name.
        created: when the registered model was made; exceptions of an earlier one of that name stay out.
        version: that the query is about.
        digest: SHA-256 of its file now; an exception of one version is for one file.
        now: business time.
    """
    return [
        {
            "id": one.id,
            "rule": one.rule,
            "granted_by": one.granted_by,
            "owner": one.owner,
            "until": one.until.isoformat(),
            "days_left": (one.until - now).total_seconds() / SECONDS_PER_DAY,
        }
        for one in exceptions
        if one.ended_at is None and one.model_created == created and _covers(one, version, digest)
    ]


def newest_first(exceptions: Sequence[PolicyException], now: datetime) -> list[PolicyException]:
    """Those in force first, then the others, the newest of each before the older ones."""
    order = ("active", "expired", "ended")
    latest_first = exceptions[::-1]
    return sorted(latest_first, key=lambda one: order.index(one.state(now)))


def _covers(one: PolicyException, version: str, digest: str) -> bool:
    return not one.version or (one.version == version and one.digest == digest != "")


def _granted(record: DecisionRecord) -> PolicyException | None:
    query, said = record.query, record.query.evidence
    try:
        return PolicyException(
            id=record.id,
            rule=said.get("rule", ""),
            model=query.resource.name,
            model_created=said.get("model_created", ""),
            version=query.resource.version,
            digest=query.resource.digest,
            until=said.get("until"),
            owner=said.get("owner", ""),
            reason=said.get("reason", ""),
            granted_by=query.subject.user,
            granted_at=record.business_time,
        )
    except ValidationError:
        return None


def _ends(record: DecisionRecord, one: PolicyException) -> bool:
    """Whether a decision ends an exception: revoked, granted anew, or what it was for is deleted."""
    about = record.query.resource
    if one.ended_at is not None or about.name != one.model:
        return False
    if record.query.action == DELETE:
        return about.version in ("", one.version)
    return (about.version, record.query.evidence.get("rule")) == (one.version, one.rule)


def _ended(one: PolicyException, record: DecisionRecord) -> PolicyException:
    return one.model_copy(update={"ended_at": record.business_time, "ended_by": record.query.subject.user})
