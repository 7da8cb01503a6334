"""The log of lineage events: a hash chain, as the decision log is. Pure; control keeps the records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from archlab.spec.lineage import LineageRecord

GENESIS = "0" * 64
"""`previous` of the first record."""


def append(previous: LineageRecord | None, event: Mapping[str, Any]) -> LineageRecord:
    """The record that follows `previous` (None for the first)."""
    text = json.dumps(event, sort_keys=True, separators=(",", ":"), allow_nan=False)
    sequence, before = (previous.sequence + 1, previous.hash) if previous else (1, GENESIS)
    return LineageRecord(sequence=sequence, event=text, previous=before, hash=_hash(sequence, before, text))


def verify(records: Iterable[LineageRecord]) -> list[str]:
    """Faults of the whole log, oldest record first; empty when it is sound. A cut end shows as missing links only."""
    faults: list[str] = []
    sequence, before = 1, GENESIS
    for record in records:
        if record.sequence > sequence:
            faults.append(f"{_span(sequence, record.sequence - 1)} missing")
        elif record.previous != before:
            faults.append(f"event {record.sequence} does not follow from the one before it")
        if record.hash != _hash(record.sequence, record.previous, record.event):
            faults.append(f"event {record.sequence} was changed after it was recorded")
        sequence, before = record.sequence + 1, record.hash
    return faults


def without(records: Iterable[LineageRecord], job: str, *, renewed: bool) -> list[LineageRecord]:
    """The log when somebody took a job's events out; `renewed` when they wrote the chain anew, so that it holds."""
    left = [record for record in records if job_of(record) != job]
    if not renewed:
        return left
    made: list[LineageRecord] = []
    for record in left:
        made.append(append(made[-1] if made else None, json.loads(record.event)))
    return made


def job_of(record: LineageRecord) -> str:
    """Name of the job that an event is about."""
    return str(json.loads(record.event)["job"]["name"])


def run_of(record: LineageRecord) -> str:
    """Id of the run that an event is about."""
    return str(json.loads(record.event)["run"]["runId"]).lower()


def _hash(sequence: int, previous: str, text: str) -> str:
    return hashlib.sha256(f"{sequence}\n{previous}\n{text}".encode()).hexdigest()


def _span(first: int, last: int) -> str:
    return f"event {first} is" if first == last else f"events {first} to {last} are"
