"""What was tampered with, what the log looked like before, and which of its records an anchor still proves."""

from __future__ import annotations

from collections.abc import Sequence

from archlab.plan.candidates import NAME, REQUESTED_BY
from archlab.policy import audit, chain, forgery
from archlab.spec.audit import Anchor
from archlab.spec.grading import Evidence, VersionFacts
from archlab.spec.policy import DecisionRecord
from archlab.spec.tampering import Tampered, Tampering, TamperingReport

RECORD, FILE, LINK = "log", "file", "link"
"""Names of the deeds in scenario.yaml."""


def report(evidence: Evidence) -> TamperingReport:
    """What was done, as archlab kept it when it did it."""
    if evidence.custody is None:
        raise ValueError("nobody tampered with this lab")
    return evidence.custody.report


def declared(evidence: Evidence, name: str) -> Tampering:
    """A deed as the variant declares it."""
    return next(deed for deed in evidence.scenario.tampering if deed.name == name)


def done(evidence: Evidence, name: str) -> Tampered:
    """A deed as it was carried out."""
    return report(evidence).deed(name)


def found(evidence: Evidence) -> list[DecisionRecord]:
    """The log of the start, as the auditor finds it."""
    return [record for record in evidence.decisions if record.sequence <= report(evidence).records]


def before(evidence: Evidence) -> DecisionRecord:
    """The edited record as it was written."""
    record = done(evidence, RECORD).before
    if record is None:
        raise ValueError("no record was tampered with")
    return record


def now(evidence: Evidence) -> DecisionRecord:
    """The edited record as it is found."""
    return next(record for record in found(evidence) if record.sequence == before(evidence).sequence)


def written(evidence: Evidence) -> list[DecisionRecord]:
    """The log of the start, as it was written."""
    return forgery.restored(found(evidence), before(evidence))


def heads(evidence: Evidence) -> list[Anchor]:
    """What the auditors had kept before anybody came with an editor."""
    return audit.heads(evidence.scenario.audits, evidence.lab, written(evidence))


def proven(records: Sequence[DecisionRecord], anchors: Sequence[Anchor]) -> set[int]:
    """Records whose whole content an anchor vouches for: from the anchored one back, as far as each hash is right."""
    by_sequence = {record.sequence: record for record in records}
    vouched: set[int] = set()
    for anchor in anchors:
        expected, sequence = anchor.hash, anchor.sequence
        while (record := by_sequence.get(sequence)) and record.hash == expected == chain.record_hash(record):
            vouched.add(sequence)
            expected, sequence = record.previous, sequence - 1
    return vouched


def still_proven(evidence: Evidence) -> set[int]:
    """Records of the start that are proven to be as they were written."""
    return proven(found(evidence), heads(evidence))


def champion(evidence: Evidence, model: str) -> VersionFacts:
    """The version under alias `champion`; StopIteration when there is none."""
    return next(v for v in evidence.versions if v.model == model and "champion" in v.aliases)


def live_at_start(evidence: Evidence, model: str) -> DecisionRecord:
    """The newest decision of the start that made a version of the model champion."""
    allowed = (r for r in reversed(found(evidence)) if r.decision.allow and r.query.action == audit.CHAMPION)
    return next(record for record in allowed if record.query.resource.name == model)


def approved_by_another(version: VersionFacts) -> bool:
    """Whether somebody other than who asked for it, or registered it, approved a version."""
    asked = version.tags.get(REQUESTED_BY, "")
    return bool(version.approved_by) and version.approved_by not in (asked, version.author)


def of_candidate(evidence: Evidence, candidate: str) -> VersionFacts:
    """The version that a candidate is registered as; StopIteration when there is none."""
    return next(v for v in evidence.versions if v.tags.get(NAME) == candidate)
