"""The decision log under audit: against heads kept elsewhere, by question, and as evidence for a control. Pure.

A hash chain alone shows an edit, a gap or another order. Who can write the database can also write the whole chain
anew, or cut its end; that shows only against an anchor, a head that was kept where they could not write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from archlab.errors import UserError
from archlab.policy import chain
from archlab.spec.audit import Anchor, EvidencePack, Finding, Soundness
from archlab.spec.policy import DecisionRecord
from archlab.spec.release import Release
from archlab.spec.tampering import Audit

CHAMPION, CANARY = "promotion/champion", "deployment/canary"
CONTROLS = {"four-eyes": "No model went live without the approval of a second person."}
"""Controls that evidence can be made for, and what each says."""


def soundness(records: Sequence[DecisionRecord], anchors: Iterable[Anchor] = ()) -> Soundness:
    """Faults of a whole log, oldest record first: in itself, and against anchors."""
    faults, kept = chain.verify(records), tuple(anchors)
    by_sequence = {record.sequence: record.hash for record in records}
    for anchor in kept:
        found = by_sequence.get(anchor.sequence)
        if found is None:
            faults.append(f"record {anchor.sequence} is gone: it was there on {anchor.wall_time:%Y-%m-%d %H:%M}Z")
        elif found != anchor.hash:
            faults.append(f"record {anchor.sequence} is not the one that was anchored on {anchor.wall_time:%Y-%m-%d}")
    head = records[-1].hash if records else chain.GENESIS
    return Soundness(records=len(records), head=head, anchors=len(kept), faults=tuple(faults))


def anchor_of(lab: str, records: Sequence[DecisionRecord], now: datetime) -> Anchor | None:
    """The log's head, to be kept elsewhere; None for an empty log."""
    if not records:
        return None
    return Anchor(lab=lab, sequence=records[-1].sequence, hash=records[-1].hash, wall_time=now)


def heads(audits: Iterable[Audit], lab: str, records: Sequence[DecisionRecord]) -> list[Anchor]:
    """The heads that declared audits kept of a log, each at the moment of its record."""
    found = (records[: audit.after] for audit in audits if audit.after)
    made = (anchor_of(lab, head, head[-1].wall_time) for head in found if head)
    return [anchor for anchor in made if anchor is not None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records an auditor asks for; None: any."""

    user: str | None = None
    action: str | None = None
    """An action, or an area."""
    name: str | None = None
    rule: str | None = None
    """One that gave a reason, or was waived."""
    allow: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Business time: since <= t < until."""

    def fits(self, record: DecisionRecord) -> bool:
        """Whether a record is one of them."""
        query, decision = record.query, record.decision
        return (
            self.user in (None, query.subject.user)
            and self.action in (None, query.action, query.action.partition("/")[0])
            and self.name in (None, query.resource.name)
            and self.allow in (None, decision.allow)
            and (self.rule is None or self.rule in _rules(record))
            and (self.since is None or record.business_time >= self.since)
            and (self.until is None or record.business_time < self.until)
        )


def _rules(record: DecisionRecord) -> set[str]:
    said = {reason.rule for reason in record.decision.reasons}
    return said | {use.rule for use in record.decision.exceptions}


def evidence(
    control: str,
    lab: str,
    records: Sequence[DecisionRecord],
    releases: Iterable[Release],
    anchors: Iterable[Anchor],
    *,
    since: datetime,
    until: datetime,
    now: datetime,
) -> EvidencePack:
    """Evidence for a control over a period of business time.

    The population is every promotion to champion and every share of callers for a canary that the log allowed in the
    period; what is served now has to be in the log too, or the log does not tell the whole story.

    Raises:
        UserError: there is no such control.
    """
    if control not in CONTROLS:
        raise UserError(f"There is no control {control!r}.", f"Controls: {', '.join(CONTROLS)}, deletion.")
    log = soundness(records, anchors)
    asked = Wanted(allow=True, since=since, until=until)
    findings = tuple(_finding(record) for record in records if asked.fits(record) and _share(record))
    unexplained = tuple(_unexplained(records, releases))
    clean = not unexplained and not any(finding.exceptions for finding in findings)
    return EvidencePack(
        control=control,
        statement=CONTROLS[control],
        lab=lab,
        since=since,
        until=until,
        taken=now,
        verdict="not verifiable" if not log.whole else "operated" if clean else "exceptions",
        log=log,
        findings=findings,
        unexplained=unexplained,
    )


def _finding(record: DecisionRecord) -> Finding:
    query, version = record.query, _version(record)
    return Finding(
        sequence=record.sequence,
        decision_id=record.id,
        business_time=record.business_time,
        model=query.resource.name,
        version=query.resource.version,
        digest=query.resource.digest,
        promoted_by=query.subject.user,
        author=str(version.get("author") or ""),
        approved_by=str(version.get("approved_by") or ""),
        engine=record.decision.engine,
        bundle_digest=record.decision.bundle_digest,
        exceptions=tuple(_exceptions(version, query.resource.digest, _share(record))),
        waived=tuple(f"{use.rule} until {use.until} by {use.granted_by}" for use in record.decision.exceptions),
    )


def _version(record: DecisionRecord) -> dict[str, Any]:
    found = record.query.evidence.get("version")
    return found if isinstance(found, dict) else {}


def _share(record: DecisionRecord) -> int:
    """Percent of the callers that a decision gave to a version, all where it does not say; 0 for any other decision."""
    if record.query.action == CHAMPION:
        return 100
    percent = record.query.evidence.get("percent") if record.query.action == CANARY else 0
    return percent if isinstance(percent, int) else 100


def _exceptions(version: dict[str, Any], digest: str, share: int) -> Iterable[str]:
    found = tuple(_faults(version, digest))
    return found if share == 100 else (f"{share} % of the callers: {fault}" for fault in found)


def _faults(version: dict[str, Any], digest: str) -> Iterable[str]:
    author, approver = version.get("author"), version.get("approved_by")
    if not author:
        yield "nobody knows who registered it"
    if not approver:
        yield "nobody approved it"
    elif approver == author:
        yield "its author approved it"
    if version.get("changed_since_approval") is not False:
        yield "it was not what was approved"
    if len(digest) != 64:
        yield "the decision names no file"


def _unexplained(records: Iterable[DecisionRecord], releases: Iterable[Release]) -> Iterable[str]:
    let_through = {
        (record.id, record.query.resource.name, record.query.resource.version, record.query.resource.digest)
        for record in records
        if record.decision.allow and record.query.action.startswith("promotion/")
    }
    for release in releases:
        if (release.decision_id, release.model, release.version, release.decision_sha256) not in let_through:
            yield f"{release.id} is served; no decision {release.decision_id} of the log let its file through"
