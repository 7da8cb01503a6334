"""Edits, gaps, another order, a cut end and a chain written anew are found; evidence says what happened."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from archlab.errors import UserError
from archlab.policy import audit, audit_page, chain
from archlab.spec.audit import Anchor, EvidencePack
from archlab.spec.policy import Decision, DecisionRecord, ExceptionUse, Reason
from archlab.spec.release import Release, ReleaseKind
from policy_queries import NOW, good

DIGEST = "a" * 64
Records = list[DecisionRecord]


def appended(records: Records, action: str, *, allow: bool, days: int = 0, **version: Any) -> None:
    query = good(action)
    query.evidence.get("version", {}).update(version)
    query = query.model_copy(update={"resource": query.resource.model_copy(update={"digest": DIGEST})})
    reasons = () if allow else (Reason(rule="promotion/approved_by_another", code="not_approved", message="no <b>"),)
    decision = Decision(allow=allow, reasons=reasons, engine="embedded regopy 1.5", bundle_digest="b" * 64)
    when = NOW + timedelta(days=days)
    last = records[-1] if records else None
    records.append(chain.append(last, query, decision, wall_time=when, business_time=when))


@pytest.fixture
def records() -> Records:
    made: Records = []
    appended(made, "promotion/champion", allow=False)
    appended(made, "promotion/champion", allow=True, days=1)
    appended(made, "access/tag", allow=False, days=2)
    appended(made, "promotion/champion", allow=True, days=3)
    return made


@pytest.fixture
def anchors(records: Records) -> list[Anchor]:
    found = (audit.anchor_of("lab", records[:n], NOW) for n in (2, 4))
    return [anchor for anchor in found if anchor]


def test_an_untouched_log_is_whole(records: Records, anchors: list[Anchor]) -> None:
    found = audit.soundness(records, anchors)
    assert found.whole
    assert (found.records, found.head, found.anchors) == (4, records[-1].hash, 2)
    assert audit.anchor_of("lab", [], NOW) is None


def rewritten(records: Records) -> Records:
    """The whole chain anew, as somebody with the database could write it."""
    made: Records = []
    for record in records:
        query = record.query.model_copy(update={"subject": record.query.subject.model_copy(update={"user": "eve"})})
        last = made[-1] if made else None
        made.append(
            chain.append(last, query, record.decision, wall_time=record.wall_time, business_time=record.business_time)
        )
    return made


def test_edits_gaps_and_another_order_show_in_the_chain(records: Records) -> None:
    allowed = records[0].decision.model_copy(update={"allow": True, "reasons": ()})
    edited = [records[0].model_copy(update={"decision": allowed}), *records[1:]]
    swapped = [records[0], records[2], records[1], records[3]]
    doubled = [*records, records[-1]]
    for changed in (edited, swapped, doubled, records[1:], [*records[:2], *records[3:]]):
        assert not audit.soundness(changed).whole


def test_a_cut_end_and_a_chain_written_anew_show_against_anchors(records: Records, anchors: list[Anchor]) -> None:
    anew = rewritten(records)
    for changed in (records[:3], records[:1], [], anew):
        assert audit.soundness(changed).whole
        assert not audit.soundness(changed, anchors).whole
    assert "record 4 is gone" in audit.soundness(records[:3], anchors).faults[0]
    assert "record 2 is not the one that was anchored" in audit.soundness(anew, anchors).faults[0]


@pytest.mark.parametrize(
    ("wanted", "sequences"),
    [
        (audit.Wanted(), [1, 2, 3, 4]),
        (audit.Wanted(action="promotion"), [1, 2, 4]),
        (audit.Wanted(action="access/tag"), [3]),
        (audit.Wanted(allow=True), [2, 4]),
        (audit.Wanted(allow=False, rule="promotion/approved_by_another"), [1, 3]),
        (audit.Wanted(since=NOW + timedelta(days=1), until=NOW + timedelta(days=3)), [2, 3]),
        (audit.Wanted(user="nobody"), []),
        (audit.Wanted(name="departure-delay", user="ops"), [1, 2, 3, 4]),
    ],
)
def test_questions(records: Records, wanted: audit.Wanted, sequences: list[int]) -> None:
    assert [record.sequence for record in records if wanted.fits(record)] == sequences


def release(record: DecisionRecord, **changed: str) -> Release:
    fields: dict[str, Any] = {
        "id": "departure-delay:2",
        "model": "departure-delay",
        "version": "2",
        "team": "operations",
        "kind": ReleaseKind.ONNX,
        "pool": "online",
        "sha256": DIGEST,
        "path": "blobs/a",
        "size_bytes": 1,
        "decision_id": record.id,
        "decision_sha256": DIGEST,
        "source_sha256": DIGEST,
        "columns": (),
        "keys": (),
        "created": NOW,
        "signature": "",
    }
    return Release(**{**fields, **changed})


def pack(records: Records, *releases: Release, anchors: list[Anchor] | None = None) -> EvidencePack:
    since, until = NOW, NOW + timedelta(days=3)
    return audit.evidence("four-eyes", "lab", records, releases, anchors or [], since=since, until=until, now=NOW)


def test_evidence_of_a_control_that_worked(records: Records, anchors: list[Anchor]) -> None:
    found = pack(records, release(records[1]), anchors=anchors)
    assert (found.verdict, [f.sequence for f in found.findings]) == ("operated", [2])
    assert (found.findings[0].author, found.findings[0].approved_by) == ("ada", "grace")
    assert found.findings[0].engine == "embedded regopy 1.5"
    page = audit_page.render(found)
    assert "No model went live without the approval of a second person." in page
    assert "grace" in page


@pytest.mark.parametrize(
    ("version", "exception"),
    [
        ({"approved_by": None}, "nobody approved it"),
        ({"approved_by": "ada"}, "its author approved it"),
        ({"author": None}, "nobody knows who registered it"),
        ({"changed_since_approval": True}, "it was not what was approved"),
        ({"changed_since_approval": None}, "it was not what was approved"),
    ],
)
def test_exceptions_are_found(records: Records, version: dict[str, Any], exception: str) -> None:
    made: Records = []
    appended(made, "promotion/champion", allow=True, **version)
    found = pack(made)
    assert found.verdict == "exceptions"
    assert exception in found.findings[0].exceptions
    assert exception in audit_page.render(found)


def test_callers_of_a_canary_that_nobody_approved_are_found() -> None:
    made: Records = []
    appended(made, "deployment/canary", allow=True, approved_by=None)
    appended(made, "deployment/canary", allow=False, approved_by=None)
    appended(made, "deployment/canary", allow=True)
    first, second = pack(made).findings
    assert "25 % of the callers: nobody approved it" in first.exceptions
    assert second.exceptions == ()


def test_a_share_that_is_not_on_record_counts_as_all_callers() -> None:
    made: Records = []
    appended(made, "deployment/canary", allow=True, approved_by=None)
    query = made[0].query
    told = {name: value for name, value in query.evidence.items() if name != "percent"}
    silent = made[0].model_copy(update={"query": query.model_copy(update={"evidence": told})})
    (found,) = pack([silent]).findings
    assert "nobody approved it" in found.exceptions


def test_what_is_served_without_a_decision_is_an_exception(records: Records) -> None:
    for changed in ({"decision_id": "000009-abcdef01"}, {"version": "3"}, {"decision_sha256": "c" * 64}):
        found = pack(records, release(records[1], **changed))
        assert (found.verdict, len(found.unexplained)) == ("exceptions", 1)
    assert pack(records, release(records[0])).verdict == "exceptions"


def test_a_log_that_was_touched_proves_nothing(records: Records, anchors: list[Anchor]) -> None:
    assert pack(records[:3], anchors=anchors).verdict == "not verifiable"


def test_what_was_waived_is_told(records: Records) -> None:
    use = ExceptionUse(id="7", rule="promotion/enough_holdout", granted_by="grace", owner="ada", until="2013-11-20")
    last = records[1]
    decision = last.decision.model_copy(update={"exceptions": (use,)})
    waived = chain.append(records[0], last.query, decision, wall_time=last.wall_time, business_time=last.business_time)
    found = pack([records[0], waived])
    assert found.verdict == "operated"
    assert found.findings[0].waived == ("promotion/enough_holdout until 2013-11-20 by grace",)
    assert "promotion/enough_holdout until 2013-11-20 by grace" in audit_page.render(found)
    assert audit.Wanted(rule="promotion/enough_holdout").fits(waived)
    assert DecisionRecord.model_validate_json(waived.model_dump_json()) == waived


def test_names_can_not_write_the_page(records: Records) -> None:
    made: Records = []
    appended(made, "promotion/champion", allow=True, author="<script>alert(1)</script>")
    assert "<script>" not in audit_page.render(pack(made))


def test_an_unknown_control_is_refused(records: Records) -> None:
    with pytest.raises(UserError, match="four-eyes"):
        audit.evidence("vibes", "lab", records, [], [], since=NOW, until=NOW, now=NOW)
