"""The decision log: an append-only hash chain in the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from archlab.control import lineage
from archlab.control.store import Store
from archlab.policy import chain, deletions, exceptions, lifecycle, traffic
from archlab.spec.base import Spec
from archlab.spec.policy import Decision, DecisionRecord, PolicyException, Query, Standing
from archlab.spec.traffic import Share, Tenure


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
    """The newest decision that let this version through; a record that was changed by hand lets nothing through."""
    rows = db.execute(
        "SELECT record, (SELECT record FROM decisions AS later WHERE later.sequence = found.sequence + 1) AS next"
        " FROM decisions AS found WHERE action = ? AND name = ? AND version = ? AND allow ORDER BY sequence DESC",
        (action, model, version),
    )
    return next((record for row in rows if (record := _sound(row, action, model, version))), None)


def _sound(row: sqlite3.Row, action: str, model: str, version: str) -> DecisionRecord | None:
    """A row's record, if it says itself what its row says, has its own hash, and the next one builds on it."""
    record = DecisionRecord.model_validate_json(row["record"])
    about = record.query.resource
    if not record.decision.allow or (record.query.action, about.name, about.version) != (action, model, version):
        return None
    if record.hash != chain.record_hash(record):
        return None
    after = DecisionRecord.model_validate_json(row["next"]) if row["next"] else None
    return record if after is None or after.previous == record.hash else None


def retired(db: sqlite3.Connection, model: str, version: str) -> DecisionRecord | None:
    """The decision that retired a version, or its model, after it was last let through; None when none did."""
    row = db.execute(
        "SELECT record FROM decisions WHERE action = ? AND name = ? AND version IN (?, '') AND allow AND sequence >"
        " COALESCE((SELECT MAX(sequence) FROM decisions WHERE name = ? AND version = ? AND allow"
        " AND action LIKE 'promotion/%'), 0) ORDER BY sequence DESC LIMIT 1",
        (lifecycle.RETIRE, model, version, model, version),
    ).fetchone()
    return DecisionRecord.model_validate_json(row["record"]) if row else None


def deleted_files(db: sqlite3.Connection) -> set[str]:
    """Digests of the files of every version whose deletion the log allowed."""
    found = _allowed(db, [deletions.DELETE], None)
    return {digest for record in found for digest in deletions.digests(record)}


def granted(db: sqlite3.Connection, model: str | None = None) -> list[PolicyException]:
    """Every exception that the log granted, of one model or of all, oldest first."""
    return exceptions.from_records(_allowed(db, exceptions.ACTIONS, model))


def standings(db: sqlite3.Connection, model: str | None = None) -> list[Standing]:
    """What the log has deprecated or retired, of one model or of all."""
    return lifecycle.from_records(_allowed(db, lifecycle.ACTIONS, model))


def tenures(db: sqlite3.Connection, model: str) -> list[Tenure]:
    """A model's champions, those of the past among them."""
    return traffic.tenures(_allowed(db, traffic.ACTIONS, model))


def shares(db: sqlite3.Connection, model: str) -> list[Share]:
    """What share of a model's callers each version may answer."""
    return traffic.shares(_allowed(db, traffic.ACTIONS, model))


def _allowed(db: sqlite3.Connection, actions: Sequence[str], model: str | None) -> Iterator[DecisionRecord]:
    marks = ", ".join("?" * len(actions))
    rows = db.execute(
        f"SELECT record FROM decisions WHERE action IN ({marks}) AND allow AND (? IS NULL OR name = ?)"  # noqa: S608
        " ORDER BY sequence",
        (*actions, model, model),
    )
    return (DecisionRecord.model_validate_json(row["record"]) for row in rows)
