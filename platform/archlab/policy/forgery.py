"""A decision log as somebody leaves it who can write the database: what a verification has to withstand. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from archlab.plan.candidates import NAME
from archlab.policy import chain
from archlab.policy.audit import CHAMPION
from archlab.spec.policy import DecisionRecord, Query
from archlab.spec.tampering import Tampering

APPROVED_BY = "archlab.approved_by"


def meant(records: Sequence[DecisionRecord], deed: Tampering) -> DecisionRecord | None:
    """The record that first let the version in question become champion; None when there is none."""
    return next((record for record in records if _is(record, deed)), None)


def forged(records: Sequence[DecisionRecord], deed: Tampering) -> list[DecisionRecord]:
    """A log after a deed; the record keeps its id.

    Raises:
        ValueError: no record is meant.
    """
    record = meant(records, deed)
    if record is None:
        raise ValueError(f"{deed.name}: the log has no such record")
    at = records.index(record)
    if deed.how == "drop":
        return [*records[:at], *records[at + 1 :]]
    changed = _changed(record, deed)
    match deed.how:
        case "edit":
            return [*records[:at], changed, *records[at + 1 :]]
        case "rehash":
            return [*records[:at], *_linked([changed], record.previous), *records[at + 1 :]]
        case _:
            return [*records[:at], *_linked([changed, *records[at + 1 :]], record.previous)]


def restored(records: Sequence[DecisionRecord], before: DecisionRecord) -> list[DecisionRecord]:
    """A log with one record as it was written, and whatever follows it linked to that again."""
    earlier = [r for r in records if r.sequence < before.sequence]
    later = [r for r in records if r.sequence > before.sequence]
    return [*earlier, before, *_linked(later, before.hash)]


def approved_by(record: DecisionRecord, approver: str) -> DecisionRecord:
    """A record of a promotion that names another approver; its hashes are left as they are."""
    tree = record.query.model_dump(mode="json")
    tree["evidence"]["version"]["approved_by"] = approver
    tree["resource"]["tags"][APPROVED_BY] = approver
    return record.model_copy(update={"query": Query.model_validate(tree)})


def relinked(records: Sequence[DecisionRecord]) -> list[DecisionRecord]:
    """The same contents as one whole chain."""
    return _linked(records, chain.GENESIS)


def _is(record: DecisionRecord, deed: Tampering) -> bool:
    about = record.query.resource
    promoted = record.decision.allow and record.query.action == CHAMPION
    return promoted and deed.is_about(about.name, about.tags.get(NAME, ""))


def _changed(record: DecisionRecord, deed: Tampering) -> DecisionRecord:
    if deed.part == "approver":
        return approved_by(record, deed.approver)
    if deed.part == "time":
        return record.model_copy(update={"business_time": record.business_time - deed.earlier})
    subject = record.query.subject.model_copy(update={"user": deed.asker})
    return record.model_copy(update={"query": record.query.model_copy(update={"subject": subject})})


def _linked(records: Sequence[DecisionRecord], previous: str) -> list[DecisionRecord]:
    """Records with right digests and links, after the hash of the one before them."""
    found: list[DecisionRecord] = []
    for record in records:
        query_sha256 = chain.sha256(record.query.model_dump(mode="json"))
        linked = record.model_copy(update={"previous": previous, "query_sha256": query_sha256})
        found.append(linked.model_copy(update={"hash": chain.record_hash(linked)}))
        previous = found[-1].hash
    return found
