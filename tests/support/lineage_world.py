"""A small lab's lineage, made with the functions that real steps report with; each part can be left out or changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from archlab.control import lineage
from archlab.lineage import log, names
from archlab.lineage.digests import data_digest
from archlab.lineage.events import Event, completed, read_run
from archlab.lineage.facts import Facts, Origin
from archlab.policy import chain
from archlab.spec.lineage import LineageArtifact, LineageRecord
from archlab.spec.policy import Decision, DecisionRecord, PolicyResource, Query, Subject
from archlab.spec.release import Column, FeatureSnapshot, Release, ReleaseFeed, ReleaseKind, ViewSnapshot

WHEN = datetime(2013, 12, 2, 8, tzinfo=UTC)
MODEL, RUN_ID, BATCH_RUN = "flight-time", "0123456789abcdef0123456789abcdef", "flight-time-20131202T080000Z-v1"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


SOURCES = {"flights.csv.zip": sha256("flights"), "weather.csv": sha256("weather")}
READER, VIEWS, CODE = sha256("reader"), sha256("views"), sha256("code")
DATA = data_digest(SOURCES, READER, VIEWS)
ONNX, FRAME, ROWS, ANSWERS, TABLE = (sha256(name) for name in ("onnx", "frame", "rows", "answers", "table"))
FOLDER = f"cache/data/{DATA[:16]}"
FLIGHTS, HISTORY = f"{FOLDER}/flights.parquet", f"{FOLDER}/views/route_daily.parquet"
TRAINING_SET, FILE = f"cache/training/{sha256('sets')}/scheduled.parquet", f"cache/models/{sha256('m')}/model.onnx"


def artifact(name: str, digest: str = "") -> LineageArtifact:
    return LineageArtifact(name=name, sha256=digest or sha256(name))


def steps() -> dict[str, list[Event]]:
    """Events of every step up to the registration and of the features and batch runs beside it."""
    facts = {"reader": READER, "views": VIEWS, "data_digest": DATA}
    sources = [artifact(names.source("airline", name), digest) for name, digest in SOURCES.items()]
    trained = {"data_digest": DATA, "code_version": CODE}
    version = artifact(names.version(MODEL, "1"), ONNX)
    return {
        "ingest": completed("ingest.airline", inputs=sources, outputs=[artifact(FLIGHTS)], facts=facts),
        "features": completed("features.airline", inputs=[artifact(FLIGHTS)], outputs=[artifact(HISTORY)], facts=facts),
        "training set": completed(
            "training_set.scheduled",
            inputs=[artifact(FLIGHTS), artifact(HISTORY)],
            outputs=[artifact(TRAINING_SET, FRAME)],
        ),
        "training": completed(
            f"train.{MODEL}", inputs=[artifact(TRAINING_SET, FRAME)], outputs=[artifact(FILE, ONNX)], facts=trained
        ),
        "registration": completed(
            f"register.{MODEL}",
            inputs=[artifact(FILE, ONNX)],
            outputs=[version],
            run_id="01234567-89ab-cdef-0123-456789abcdef",
        ),
        "materialisation": completed(
            "materialize.route_daily",
            inputs=[artifact(HISTORY)],
            outputs=[artifact(names.view_rows("route_daily"), ROWS)],
            business_time=WHEN,
        ),
        "batch": completed(
            f"batch.{MODEL}",
            inputs=[version, artifact(FLIGHTS), artifact(HISTORY)],
            outputs=[artifact(names.answers(MODEL, BATCH_RUN), ANSWERS)],
            business_time=WHEN,
        ),
    }


def decided() -> DecisionRecord:
    query = Query(
        subject=Subject(user="approver", team="operations", roles=("approver",)),
        action="promotion/champion",
        resource=PolicyResource(kind="model-version", name=MODEL, version="1", digest=ONNX),
        evidence={"version": {"author": "trainer", "approved_by": "approver", "data_digest": DATA}},
        time=WHEN,
    )
    decision = Decision(allow=True, reasons=(), engine="embedded", bundle_digest=sha256("bundle"))
    return chain.append(None, query, decision, wall_time=datetime.now(UTC), business_time=WHEN)


def release(decision: DecisionRecord, kind: ReleaseKind) -> Release:
    suffix, digest = ("", ONNX) if kind is ReleaseKind.ONNX else (f":{BATCH_RUN}", TABLE)
    return Release(
        id=f"{MODEL}:1{suffix}",
        model=MODEL,
        version="1",
        team="operations",
        kind=kind,
        pool="online",
        sha256=digest,
        path=f"blobs/{digest}",
        size_bytes=1,
        decision_id=decision.id,
        decision_sha256=ONNX,
        source_sha256=ONNX,
        columns=(Column(name="distance", source="request"), Column(name="air_time", source="route_daily")),
        keys=("route",),
        created=WHEN,
        signature="",
    )


@dataclass(frozen=True)
class World:
    """Everything on record; a test changes one thing of it."""

    kind: ReleaseKind = ReleaseKind.ONNX
    without: frozenset[str] = frozenset()
    """Steps whose events were never recorded."""
    edited: Mapping[str, Any] = field(default_factory=dict)
    """By step: replaces a text in its events before they are recorded."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Facts` to put in place of what they were."""
    tags: dict[str, str | None] = field(default_factory=dict)
    """Tags of the version that are other than they were; None takes one away."""

    def lacking(self, *steps: str) -> World:
        return replace(self, without=self.without | set(steps))

    def records(self) -> list[LineageRecord]:
        decision = decided()
        released = ReleaseFeed(sequence=1, releases=(release(decision, self.kind),))
        reported = steps() | {
            "promotion": lineage.of_decision(decision),
            "table": lineage.of_table(MODEL, BATCH_RUN, ANSWERS, TABLE, WHEN),
            "release": lineage.of_feed(ReleaseFeed(sequence=0, releases=()), released),
            "snapshot": lineage.of_snapshot(manifest(), sha256("manifest")),
        }
        made: list[LineageRecord] = []
        for step, events in reported.items():
            for event in events if step not in self.without else ():
                made.append(log.append(made[-1] if made else None, event))
                if step in self.edited:
                    old, new = self.edited[step]
                    made[-1] = log.append(made[-2] if len(made) > 1 else None, _replaced(event, old, new))
        return made

    def facts(self, records: list[LineageRecord] | None = None) -> Facts:
        decision = decided()
        kept = self.records() if records is None else records
        tags = {"archlab.sha256": ONNX, "archlab.data_digest": DATA, "archlab.code_version": CODE} | self.tags
        origin = Origin({k: v for k, v in tags.items() if v is not None}, RUN_ID, {"data_digest": DATA})
        facts = Facts(
            lab="lab",
            runs=tuple(run for record in kept if (run := read_run(record))),
            log_faults=tuple(log.verify(kept)),
            decisions=(decision,),
            decision_faults=tuple(chain.verify([decision])),
            releases=(release(decision, self.kind),),
            manifest=(manifest(), sha256("manifest")),
            origin=lambda model, version: origin if (model, version) == (MODEL, "1") else None,
            found=lambda _artifact: None,
            aliases={MODEL: {"champion": "1"}},
        )
        return replace(facts, **self.changes)


def manifest() -> FeatureSnapshot:
    view = ViewSnapshot(view="route_daily", sha256=ROWS, path=f"blobs/{ROWS}.json", rows=5, materialized=WHEN)
    return FeatureSnapshot(sequence=1, business_time=WHEN, views=(view,))


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(each, old, new) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, old, new) for each in value]
    return value.replace(old, new) if isinstance(value, str) else value
