"""A lab that was tampered with as another seed's variant declares it: log, digests and the report of what was done.

The log as it was written is made again from the report, then changed by the arithmetic that changed the lab's. What an
auditor found live (gaps, signatures) stays as it was recorded; truths read the report and the log.
"""

from __future__ import annotations

from collections.abc import Sequence

from archlab.lab.tampering import about_version
from archlab.plan.candidates import NAME
from archlab.policy import forgery
from archlab.registry.evidence import SHA256
from archlab.spec.grading import Evidence, VersionFacts
from archlab.spec.policy import DecisionRecord
from archlab.spec.scenario import Scenario
from archlab.spec.tampering import Tampered, TamperingReport


def retampered(evidence: Evidence, was: Scenario, now: Scenario) -> Evidence:
    """The evidence with `now`'s deeds in place of `was`'s; unchanged where nobody tampered."""
    if evidence.custody is None:
        return evidence
    report = evidence.custody.report
    written = _written(evidence.decisions, report, was, now)
    versions = _tagged(evidence.versions, was, report, after=False)
    done = tuple(
        Tampered(name=deed.name) if deed.kind == "event" else about_version(deed, written, versions)
        for deed in now.tampering
    )
    made = report.model_copy(update={"done": done})
    decisions = list(written)
    for deed in now.tampering:
        if deed.kind == "record":
            decisions = forgery.forged(decisions, deed)
    return evidence.model_copy(
        update={
            "decisions": tuple(decisions),
            "versions": _tagged(versions, now, made, after=True),
            "custody": evidence.custody.model_copy(update={"report": made}),
        }
    )


def _written(
    decisions: Sequence[DecisionRecord], report: TamperingReport, was: Scenario, now: Scenario
) -> list[DecisionRecord]:
    """The log as it was written, by the approvers that `now` declares."""
    written = list(decisions)
    for deed in report.done:
        if deed.before is not None:
            written = forgery.restored(written, deed.before)
    before = {c.name: c.approved_by for c in was.candidates}
    after = {c.name: c.approved_by for c in now.candidates if before.get(c.name) not in (None, c.approved_by)}
    named = [(record, record.query.resource.tags.get(NAME, "")) for record in written]
    of_start = [
        forgery.approved_by(record, after[name]) if name in after and record.sequence <= report.records else record
        for record, name in named
    ]
    return forgery.relinked(of_start)


def _tagged(
    versions: Sequence[VersionFacts], scenario: Scenario, report: TamperingReport, *, after: bool
) -> tuple[VersionFacts, ...]:
    """Versions with the registry's digest of an exchanged file as it was before or after the deed."""
    retagged = [d.name for d in scenario.tampering if d.how in ("retag", "resign")]
    wanted = {(one.model, one.version): one for one in report.done if one.name in retagged}
    return tuple(
        v.model_copy(update={"tags": {**v.tags, SHA256: one.after_sha256 if after else one.before_sha256}})
        if (one := wanted.get((v.model, v.version)))
        else v
        for v in versions
    )
