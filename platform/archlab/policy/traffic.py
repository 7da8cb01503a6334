"""Champions and canary shares, as the decision log has them. Pure.

Who was champion, with which file, and until when decides what counts as a rollback. A tag that somebody writes into the
registry's database makes no former champion, and sends no caller anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from archlab.policy.audit import CANARY, CHAMPION
from archlab.policy.chain import record_hash
from archlab.policy.deletions import DELETE
from archlab.spec.plan import Plan
from archlab.spec.policy import DecisionRecord
from archlab.spec.traffic import Share, Tenure

REMOVE_CHAMPION = "access/remove_champion"
ACTIONS = (CHAMPION, REMOVE_CHAMPION, CANARY, DELETE)


def tenures(records: Iterable[DecisionRecord]) -> list[Tenure]:
    """One model's champions in the order of their first promotion, from the log's records in their order."""
    found: list[Tenure] = []
    for record in _sound(records):
        about = record.query.resource
        if record.query.action == DELETE:
            found = [t for t in found if about.version not in ("", t.version)]
        elif record.query.action == REMOVE_CHAMPION:
            found = [_closed(t, record) for t in found]
        elif record.query.action == CHAMPION:
            found = _promoted(found, record)
    return found


def shares(records: Iterable[DecisionRecord]) -> list[Share]:
    """What share of the callers each version of one model may answer, from the log's records in their order."""
    found: list[Share] = []
    for record in _sound(records):
        about = record.query.resource
        if record.query.action == DELETE:
            found = [s for s in found if about.version not in ("", s.version)]
        elif record.query.action == CANARY and (share := _share(record)):
            found = [s for s in found if (s.version, s.digest) != (share.version, share.digest)]
            found.append(share)
    return found


def routed(plan: Plan, model: str) -> dict[str, int]:
    """Percent of a model's callers that a plan sends to a version by its number."""
    backends = (b for route in plan.routes if route.model == model for b in route.backends)
    return {b.version: b.weight for b in backends if b.version and b.weight}


def permitted(found: Sequence[Share], version: str, digest: str) -> int:
    """Percent of the callers that a version may answer with a file; 0 when nothing on record says so."""
    return next((s.percent for s in found if (s.version, s.digest) == (version, digest)), 0)


def _sound(records: Iterable[DecisionRecord]) -> Iterable[DecisionRecord]:
    """Allowed, about one of these actions, and not changed since."""
    return (r for r in records if r.decision.allow and r.query.action in ACTIONS and r.hash == record_hash(r))


def _promoted(found: list[Tenure], record: DecisionRecord) -> list[Tenure]:
    about = record.query.resource
    before = next((t for t in found if (t.version, t.digest) == (about.version, about.digest)), None)
    if before and before.until is None:
        return found
    closed = [_closed(t, record) for t in found if t is not before]
    now = Tenure(version=about.version, digest=about.digest, since=record.business_time)
    if before is None or before.withdrawn:
        return [*closed, now]
    place = found.index(before)
    return [*closed[:place], now, *(t.model_copy(update={"withdrawn": True}) for t in closed[place:])]


def _closed(tenure: Tenure, record: DecisionRecord) -> Tenure:
    return tenure if tenure.until else tenure.model_copy(update={"until": record.business_time})


def _share(record: DecisionRecord) -> Share | None:
    about = record.query.resource
    try:
        return Share(
            id=record.id,
            version=about.version,
            digest=about.digest,
            percent=record.query.evidence["percent"],
            since=record.business_time,
        )
    except (ValidationError, KeyError):
        return None
