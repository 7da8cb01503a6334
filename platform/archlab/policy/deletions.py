"""Deletions on record: what went, and the evidence that it is gone. Pure.

The decision that let a version be deleted is its tombstone: it keeps name, number, digest, run and place of the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from archlab.policy.audit import soundness
from archlab.spec.audit import Anchor, EvidencePack, Finding
from archlab.spec.policy import DecisionRecord

DELETE = "retention/delete"
CONTROL = "deletion"
STATEMENT = "What was deleted is gone, its file included."


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One version that somebody was allowed to delete."""

    record: DecisionRecord
    model: str
    version: str
    sha256: str
    """Of its file; empty when it had none."""
    run_id: str
    model_id: str
    path: str
    """Of its files, below the store's root."""


def tombstones(records: Iterable[DecisionRecord]) -> Iterator[Tombstone]:
    """Every version whose deletion the log allowed, in the log's order."""
    for record in records:
        if record.query.action == DELETE and record.decision.allow:
            for going in _versions(record):
                told = {key: str(going.get(key) or "") for key in ("version", "sha256", "run_id", "model_id", "path")}
                yield Tombstone(record, record.query.resource.name, **told)


def digests(record: DecisionRecord) -> set[str]:
    """Digests of the files that a deletion was about."""
    return {str(going["sha256"]) for going in _versions(record) if going.get("sha256")}


def evidence(
    lab: str,
    records: Sequence[DecisionRecord],
    anchors: Iterable[Anchor],
    remains: Mapping[str, Sequence[str]],
    *,
    since: datetime,
    until: datetime,
    now: datetime,
) -> EvidencePack:
    """Evidence that what was deleted in a period of business time is gone.

    Args:
        lab: its name.
        records: the whole log, oldest first.
        anchors: heads of the log kept elsewhere.
        remains: by a version's `MODEL:VERSION` and by a file's digest, where it still is.
        since: business time; since <= t < until.
        until: business time.
        now: wall time of the look.
    """
    log = soundness(records, anchors)
    asked = [t for t in tombstones(records) if since <= t.record.business_time < until]
    findings = tuple(_finding(one, remains) for one in asked)
    clean = not any(finding.exceptions for finding in findings)
    return EvidencePack(
        control=CONTROL,
        statement=STATEMENT,
        lab=lab,
        since=since,
        until=until,
        taken=now,
        verdict="not verifiable" if not log.whole else "operated" if clean else "exceptions",
        log=log,
        findings=findings,
        unexplained=(),
    )


def _finding(one: Tombstone, remains: Mapping[str, Sequence[str]]) -> Finding:
    record = one.record
    still = [*remains.get(f"{one.model}:{one.version}", ()), *remains.get(one.sha256, ())]
    return Finding(
        sequence=record.sequence,
        decision_id=record.id,
        business_time=record.business_time,
        model=one.model,
        version=one.version,
        digest=one.sha256,
        promoted_by=record.query.subject.user,
        author="",
        approved_by="",
        engine=record.decision.engine,
        bundle_digest=record.decision.bundle_digest,
        exceptions=tuple(dict.fromkeys(still)),
    )


def _versions(record: DecisionRecord) -> list[dict[str, Any]]:
    found = record.query.evidence.get("versions")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
