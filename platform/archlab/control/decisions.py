"""The decision log: an append-only hash chain in the database."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from archlab.control import lineage
from archlab.control.store import Store
from archlab.policy import chain
from archlab.spec.base import Spec
from archlab.spec.policy import Decision, DecisionRecord, Query


class Decided(Spec):
    """Body of `POST /decisions`."""

    query: Query
    decision: Decision


def append(store: Store, decided: Decided, business_time: datetime) -> DecisionRecord:
    """Add one link; it is on disk when this returns."""
    with store.write() as db:
        last = db.execute("SELECT record FROM decisions ORDER BY sequence DESC LIMIT 1").fetchone()
        previous = DecisionRecord.model_validate_json(last["record"]) if last else None
        record = chain.append(
            previous, decided.query, decided.decision, wall_time=datetime.now(UTC), business_time=business_time
        )
        about = record.query.resource
        db.execute(
            "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(record.sequence, record.query.action, about.name, about.version),
                *(record.decision.allow, record.model_dump_json()),
            ),
        )
        lineage.append(db, lineage.of_decision(record))
    return record


def read(db: sqlite3.Connection) -> list[DecisionRecord]:
    """Every record, oldest first."""
    rows = db.execute("SELECT record FROM decisions ORDER BY sequence")
    return [DecisionRecord.model_validate_json(row["record"]) for row in rows]


def allowed(db: sqlite3.Connection, action: str, model: str, version: str) -> DecisionRecord | None:
    """The newest decision that let this version through."""
    row = db.execute(
        "SELECT record FROM decisions WHERE action = ? AND name = ? AND version = ? AND allow"
        " ORDER BY sequence DESC LIMIT 1",
        (action, model, version),
    ).fetchone()
    return DecisionRecord.model_validate_json(row["record"]) if row else None
