"""What a log looks like after each deed, and which check finds it: the chain, a head kept elsewhere, neither."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from archlab.policy import audit, chain, forgery
from archlab.spec.policy import Decision, DecisionRecord
from archlab.spec.tampering import Audit, Tampering
from policy_queries import NOW, good

Records = list[DecisionRecord]


@pytest.fixture
def records() -> Records:
    made: Records = []
    for number, candidate in enumerate(("", "second", "third")):
        query = good("promotion/champion")
        query.evidence["version"]["approved_by"] = "lead"
        tags = {**query.resource.tags, **({"archlab.candidate": candidate} if candidate else {})}
        query = query.model_copy(update={"resource": query.resource.model_copy(update={"name": "m", "tags": tags})})
        decision = Decision(allow=True, reasons=(), engine="embedded", bundle_digest="b" * 64)
        when = NOW + timedelta(minutes=number)
        made.append(chain.append(made[-1] if made else None, query, decision, wall_time=when, business_time=when))
    return made


def deed(how: str, **more: Any) -> Tampering:
    fields = {"candidate": "second", "approver": "eve", **more}
    return Tampering.model_validate({"name": "log", "kind": "record", "how": how, **fields})


@pytest.mark.parametrize(
    ("how", "by_chain", "by_head"),
    [("edit", True, False), ("rehash", True, False), ("rewrite", False, True), ("drop", True, False)],
)
def test_who_finds_it(records: Records, how: str, by_chain: bool, by_head: bool) -> None:
    heads = audit.heads((Audit(name="first", after=1), Audit(name="last", after=99)), "lab", records)
    assert [head.sequence for head in heads] == [1, 3]
    found = forgery.forged(records, deed(how))
    assert bool(chain.verify(found)) is by_chain
    faults = audit.soundness(found, heads).faults
    assert any("anchored" in fault for fault in faults) is by_head
    assert audit.soundness(found, heads[:1]).faults == tuple(chain.verify(found))


@pytest.mark.parametrize("how", ["edit", "rehash", "rewrite"])
@pytest.mark.parametrize("part", ["approver", "asker", "time"])
def test_only_one_part_of_one_record_is_another_and_can_be_put_back(records: Records, how: str, part: str) -> None:
    found = forgery.forged(records, deed(how, part=part, asker="eve", earlier="P40D"))
    assert [r.id for r in found] == [r.id for r in records]
    was, now = records[1], found[1]
    assert (was.query.evidence["version"]["approved_by"] != now.query.evidence["version"]["approved_by"]) is (
        part == "approver"
    )
    assert (was.query.subject != now.query.subject) is (part == "asker")
    assert (was.business_time != now.business_time) is (part == "time")
    assert forgery.restored(found, was) == records


def test_what_was_appended_since_follows_the_log_that_is_put_back(records: Records) -> None:
    found = forgery.forged(records, deed("rewrite"))
    later = chain.append(found[-1], good("access/tag"), found[-1].decision, wall_time=NOW, business_time=NOW)
    put_back = forgery.restored([*found, later], records[1])
    assert put_back[:3] == records
    assert not chain.verify(put_back)


def test_the_first_version_is_meant_where_no_candidate_is_named(records: Records) -> None:
    assert forgery.meant(records, deed("edit", candidate="", model="m")) == records[0]
    assert forgery.meant(records, deed("edit", candidate="fourth")) is None
    with pytest.raises(ValueError, match="no such record"):
        forgery.forged(records, deed("edit", candidate="fourth"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"how": "exchange"},
        {"how": "edit", "approver": ""},
        {"how": "edit", "candidate": ""},
        {"how": "drop", "kind": "event"},
    ],
)
def test_a_deed_that_says_too_little_is_no_deed(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Tampering.model_validate({"name": "x", "kind": "record", "candidate": "second", "approver": "eve", **wrong})
