"""The decision log's hash chain: pure functions; control keeps the records.

Each record's `hash` is the SHA-256 of its canonical JSON without that field, and `previous` is the hash before it, so
that no record can be changed, dropped from the middle or put in without every later hash being wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from archlab.spec.policy import Decision, DecisionRecord, Query

GENESIS = "0" * 64
"""`previous` of the first record."""


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no blanks, UTF-8: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(value: Any) -> str:
    """Hexadecimal SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def append(
    previous: DecisionRecord | None, query: Query, decision: Decision, *, wall_time: datetime, business_time: datetime
) -> DecisionRecord:
    """The record that follows `previous` (None for the first)."""
    sequence = previous.sequence + 1 if previous else 1
    query_sha256 = sha256(query.model_dump(mode="json"))
    open_record = DecisionRecord(
        sequence=sequence,
        id=f"{sequence:06d}-{query_sha256[:8]}",
        wall_time=wall_time,
        business_time=business_time,
        query=query,
        query_sha256=query_sha256,
        decision=decision,
        previous=previous.hash if previous else GENESIS,
        hash=GENESIS,
    )
    return open_record.model_copy(update={"hash": record_hash(open_record)})


def record_hash(record: DecisionRecord) -> str:
    """What a record's `hash` has to be."""
    return sha256(record.model_dump(mode="json", exclude={"hash"}))


def verify(records: Iterable[DecisionRecord]) -> list[str]:
    """Faults of a whole log, oldest record first; empty when it is sound."""
    faults: list[str] = []
    expected_sequence, expected_previous = 1, GENESIS
    for record in records:
        if record.sequence != expected_sequence:
            faults.append(f"record {record.sequence} stands where {expected_sequence} should be")
        if record.previous != expected_previous:
            faults.append(f"record {record.sequence} does not follow from the record before it")
        if record.query_sha256 != sha256(record.query.model_dump(mode="json")):
            faults.append(f"record {record.sequence}: the query is not the one that was decided")
        if record.hash != record_hash(record):
            faults.append(f"record {record.sequence} was changed after it was written")
        expected_sequence, expected_previous = record.sequence + 1, record.hash
    return faults
