"""Control as the lab's OpenLineage endpoint: what is taken, what is refused, what is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from archlab.lineage import log
from archlab.lineage.events import completed
from archlab.spec.lineage import LineageArtifact, LineageRecord
from control_process import START, VIEWER, Control
from lineage_world import FLIGHTS, SOURCES, artifact, steps

EVENTS = completed("copy.x", inputs=[artifact("a")], outputs=[artifact("b")])


def records(control: Control) -> list[LineageRecord]:
    return [LineageRecord.model_validate(found) for found in control.get("/lineage/events")]


def test_events_are_kept_once_in_a_chain_that_outlives_the_process(control: Control) -> None:
    with control.client() as client:
        one = client.post("/api/v1/lineage", json=EVENTS[0])
        assert (one.status_code, one.json()) == (201, {"recorded": 1})
        assert client.post("/api/v1/lineage", json=EVENTS).json() == {"recorded": 1}
        assert client.post("/api/v1/lineage", json=EVENTS).json() == {"recorded": 0}
    kept = records(control)
    assert [record.sequence for record in kept] == [1, 2]
    assert log.verify(kept) == []
    control.kill()
    control.start()
    assert records(control) == kept
    control.post("/api/v1/lineage", completed("copy.y", inputs=[], outputs=[artifact("c")]))
    assert log.verify(records(control)) == []


def test_somebody_elses_client_may_tell_how_a_run_goes_on(control: Control) -> None:
    running = {**EVENTS[1], "eventType": "RUNNING"}
    assert control.post("/api/v1/lineage", [running, {**running, "eventTime": "2013-12-02T09:00:00Z"}])["recorded"] == 2


@pytest.mark.parametrize(
    "body", [b"", b"17", b"[]x", b'{"eventType": "COMPLETE"}', b'[{"eventType": "DONE"}]', b'[[{"run": 1}]]']
)
def test_what_is_no_event_is_refused_whole(idle: Control, body: bytes) -> None:
    before = records(idle)
    with idle.client() as client:
        refused = client.post("/api/v1/lineage", content=body)
    assert refused.status_code == 400
    assert "can't be read" in refused.json()["error"]
    assert records(idle) == before


def test_only_operators_report(idle: Control) -> None:
    with idle.client(VIEWER) as client:
        assert client.post("/api/v1/lineage", json=EVENTS).status_code == 403
        assert client.get("/lineage/events").status_code == 403
    assert isinstance(records(idle), list)
    with idle.client(None) as client:
        assert client.get("/lineage/events").status_code == 401


def decision(**changes: Any) -> dict[str, Any]:
    query = {
        "subject": {"user": "learner", "team": "platform", "roles": ["developer"]},
        "action": "promotion/champion",
        "resource": {"kind": "model-version", "name": "flight-time", "version": "1", "digest": "d" * 64},
        "evidence": {},
        "time": START.isoformat(),
    }
    answer = {"allow": True, "reasons": [], "engine": "embedded", "bundle_digest": "b" * 64}
    return {"query": {**query, **changes.pop("query", {})}, "decision": {**answer, **changes}}


def test_a_promotion_that_was_allowed_is_a_run_and_no_other_decision_is(control: Control) -> None:
    control.post("/decisions", decision(allow=False))
    control.post("/decisions", decision(query={"action": "access/write"}))
    assert records(control) == []
    identifier = control.post("/decisions", decision())["id"]
    texts = [record.event for record in records(control)]
    assert len(texts) == 2
    assert all("promote.flight-time" in text and identifier in text for text in texts)


def test_a_snapshot_is_a_run_over_its_views_and_keeps_what_the_materialisation_said(control: Control) -> None:
    blobs = control.folder.snapshots / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "x.json").write_text("{}")
    view = {"view": "weather", "sha256": "a" * 64, "path": "blobs/x.json", "rows": 1, "materialized": START.isoformat()}
    said = completed(
        "materialize.weather",
        inputs=[artifact(FLIGHTS)],
        outputs=[LineageArtifact(name="snapshots/weather", sha256="a" * 64)],
    )
    control.post("/snapshots", {"business_time": START.isoformat(), "views": [view], "lineage": said})
    jobs = ["materialize.weather", "materialize.weather", "snapshot", "snapshot"]
    for record, job in zip(records(control), jobs, strict=True):
        assert f'"name":"{job}"' in record.event
    with control.client() as client:
        bad = {"business_time": START.isoformat(), "views": [view], "lineage": [{"eventType": "DONE"}]}
        assert client.post("/snapshots", json=bad).status_code == 400


def test_a_database_of_an_earlier_version_gets_its_table(control: Control) -> None:
    control.stop()
    with closing(sqlite3.connect(control.folder.control_db)) as db:
        db.execute("DROP TABLE lineage")
        db.commit()
    control.start()
    assert control.post("/api/v1/lineage", steps()["ingest"])["recorded"] == 2
    assert all(digest in records(control)[1].event for digest in SOURCES.values())


def test_lineage_of_nothing_is_refused(idle: Control) -> None:
    with idle.client() as client:
        assert client.get("/lineage").status_code == 400
        missing = client.get("/lineage", params={"prediction": "nobody-asked"})
    assert missing.status_code == 404
    assert "No prediction log has 'nobody-asked'" in missing.json()["error"]
