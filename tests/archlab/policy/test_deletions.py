"""Tombstones of the decision log, and the evidence that what they stand for is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from archlab.policy import audit_page, chain, deletions
from archlab.spec.audit import EvidencePack
from archlab.spec.policy import Decision, DecisionRecord
from policy_queries import NOW, good

DIGEST = "a" * 64
GOING = {"version": "2", "sha256": DIGEST, "run_id": "r", "model_id": "m-1", "path": "1/models/m-1/artifacts"}


def deleted(*records: DecisionRecord, allow: bool = True, days: int = 0, versions: Any = (GOING,)) -> DecisionRecord:
    query = good("retention/delete", versions=list(versions) if isinstance(versions, tuple) else versions)
    decision = Decision(allow=allow, reasons=(), engine="embedded regopy 1.5", bundle_digest="b" * 64)
    when = NOW + timedelta(days=days)
    return chain.append(records[-1] if records else None, query, decision, wall_time=when, business_time=when)


def pack(records: list[DecisionRecord], **remains: list[str]) -> EvidencePack:
    found = {key.replace("__", ":").replace("_", "-"): places for key, places in remains.items()}
    until = NOW + timedelta(days=3)
    return deletions.evidence("lab", records, [], found, since=NOW, until=until, now=NOW)


def test_a_tombstone_keeps_what_went() -> None:
    (stone,) = deletions.tombstones([deleted()])
    assert (stone.model, stone.version, stone.sha256) == ("departure-delay", "2", DIGEST)
    assert (stone.run_id, stone.model_id, stone.path) == ("r", "m-1", "1/models/m-1/artifacts")
    assert deletions.digests(stone.record) == {DIGEST}


def test_what_was_denied_or_is_no_list_leaves_none() -> None:
    assert list(deletions.tombstones([deleted(allow=False), deleted(versions=None), deleted(versions=("x",))])) == []


def test_what_is_gone_is_proven() -> None:
    first = deleted()
    found = pack([first, deleted(first, days=5)])
    assert (found.verdict, [f.version for f in found.findings]) == ("operated", ["2"])
    page = audit_page.render(found)
    assert "Deletions in the period: 1" in page
    assert "What is served now" not in page


def test_what_is_still_there_is_an_exception() -> None:
    records = [deleted()]
    for remains in (
        {"departure_delay__2": ["the registry still has the version"]},
        {DIGEST: ["the artifact store has 1/models/m-1/artifacts/model.onnx"]},
    ):
        found = pack(records, **remains)
        assert found.verdict == "exceptions"
        assert found.findings[0].exceptions == tuple(next(iter(remains.values())))
        assert found.findings[0].exceptions[0] in audit_page.render(found)


def test_a_log_that_was_touched_proves_nothing() -> None:
    record = deleted()
    assert pack([record.model_copy(update={"sequence": 2})]).verdict == "not verifiable"
