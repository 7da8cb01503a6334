"""Lineage events in control's database: appended in the transaction that does what they are about.

The table is made when control starts, so that a lab of an earlier version gets one; what it did before then is not on
record, and shows as missing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, RootModel

from archlab.control.store import Store
from archlab.lineage import log, names
from archlab.lineage.events import Event, completed
from archlab.spec.lineage import LineageArtifact, LineageRecord, OpenLineageEvent
from archlab.spec.policy import DecisionRecord
from archlab.spec.release import FeatureSnapshot, Release, ReleaseFeed, ReleaseKind

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS lineage (sequence INTEGER PRIMARY KEY, run_id TEXT NOT NULL, event_type TEXT NOT NULL,"
    " event TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS lineage_runs ON lineage (run_id, event_type)",
)
OPEN_ENDED = ("RUNNING", "OTHER")
"""Event types that a run may have several of."""
PROMOTION = "promotion/"


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Reported(RootModel[Annotated[list[OpenLineageEvent], BeforeValidator(_listed)]]):
    """Body of `POST /api/v1/lineage`: an event, or several."""


def prepare(store: Store) -> None:
    """Make the table where there is none."""
    with store.write() as db:
        for statement in SCHEMA:
            db.execute(statement)


def append(db: sqlite3.Connection, events: Iterable[Mapping[str, Any]]) -> int:
    """Add events to the chain; how many were new. The state of a run is recorded once."""
    newest = db.execute("SELECT * FROM lineage ORDER BY sequence DESC LIMIT 1").fetchone()
    last = _record(newest) if newest else None
    added = 0
    for event in events:
        about = (str(event["run"]["runId"]).lower(), event["eventType"])
        if about[1] not in OPEN_ENDED and _known(db, about):
            continue
        last = log.append(last, event)
        row = (last.sequence, *about, last.event, last.previous, last.hash)
        db.execute("INSERT INTO lineage VALUES (?, ?, ?, ?, ?, ?)", row)
        added += 1
    return added


def read(db: sqlite3.Connection) -> list[LineageRecord]:
    """Every record, oldest first."""
    return [_record(row) for row in db.execute("SELECT * FROM lineage ORDER BY sequence")]


def of_decision(record: DecisionRecord) -> list[Event]:
    """The run in which a decision let a version become what an alias stands for; none for other decisions."""
    about, action = record.query.resource, record.query.action
    if not (record.decision.allow and action.startswith(PROMOTION)):
        return []
    alias = action.removeprefix(PROMOTION)
    digest = about.digest if len(about.digest) == 64 else ""
    return completed(
        f"promote.{about.name}",
        inputs=[LineageArtifact(name=names.version(about.name, about.version), sha256=digest)],
        outputs=[LineageArtifact(name=names.alias(about.name, alias), sha256=digest)],
        facts={"decision": record.id, "decision_hash": record.hash, "user": record.query.subject.user},
        business_time=record.business_time,
    )


def of_feed(before: ReleaseFeed, after: ReleaseFeed) -> list[Event]:
    """A run per release that is new or has changed."""
    known = {(release.id, release.pool): release.statement() for release in before.releases}
    changed = [r for r in after.releases if known.get((r.id, r.pool)) != r.statement()]
    return [event for release in changed for event in _published(release, after.sequence)]


def of_table(model: str, run: str, answers_sha256: str, table_sha256: str, business_time: Any) -> list[Event]:
    """The run that turned a batch run's answers into a look-up table."""
    return completed(
        f"table.{model}",
        inputs=[LineageArtifact(name=names.answers(model, run), sha256=answers_sha256)],
        outputs=[LineageArtifact(name=names.table(model, run), sha256=table_sha256)],
        business_time=business_time,
    )


def of_snapshot(manifest: FeatureSnapshot, sha256: str) -> list[Event]:
    """The run that put views together into what servers read."""
    return completed(
        "snapshot",
        inputs=[LineageArtifact(name=names.view_rows(v.view), sha256=v.sha256) for v in manifest.views],
        outputs=[LineageArtifact(name=names.snapshot(manifest.sequence), sha256=sha256)],
        business_time=manifest.business_time,
    )


def _published(release: Release, sequence: int) -> list[Event]:
    version = LineageArtifact(name=names.version(release.model, release.version), sha256=release.source_sha256)
    inputs = [version]
    if release.kind is ReleaseKind.TABLE:
        run = release.id.split(":", 2)[2]
        inputs.append(LineageArtifact(name=names.table(release.model, run), sha256=release.sha256))
    facts = {
        "decision": release.decision_id,
        "role": release.role,
        "kind": release.kind.value,
        "feed": str(sequence),
        "views": " ".join(sorted({c.source for c in release.columns} - {"request"})),
    }
    output = LineageArtifact(name=names.release(release.id), sha256=release.sha256)
    return completed(f"release.{release.model}", inputs=inputs, outputs=[output], facts=facts)


def _known(db: sqlite3.Connection, about: tuple[str, str]) -> bool:
    return bool(db.execute("SELECT 1 FROM lineage WHERE run_id = ? AND event_type = ?", about).fetchone())


def _record(row: sqlite3.Row) -> LineageRecord:
    return LineageRecord(sequence=row["sequence"], event=row["event"], previous=row["previous"], hash=row["hash"])
