"""Events as the OpenLineage specification has them, and read back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from archlab.lineage import log, spool
from archlab.lineage.events import completed, read_run
from archlab.spec.lineage import LineageArtifact, OpenLineageEvent

EVENT: TypeAdapter[dict[str, object]] = TypeAdapter(OpenLineageEvent)
READ = LineageArtifact(name="cache/training/x/scheduled.parquet", sha256="a" * 64)
WRITTEN = LineageArtifact(name="cache/models/y/model.onnx", sha256="b" * 64)
WHEN = datetime(2013, 12, 2, 8, tzinfo=UTC)


def test_a_run_is_told_by_two_events_of_the_specification() -> None:
    start, done = completed(
        "train.flight-time", inputs=[READ], outputs=[WRITTEN], facts={"rows": "7"}, began=WHEN, business_time=WHEN
    )
    for event in (start, done):
        assert EVENT.validate_python(json.loads(json.dumps(event))) == event
        assert event["schemaURL"].startswith("https://openlineage.io/spec/2-")
        assert event["producer"].startswith("urn:archlab:")
        assert event["job"]["namespace"] == "archlab"
    assert (start["eventType"], done["eventType"]) == ("START", "COMPLETE")
    assert start["eventTime"] == "2013-12-02T08:00:00Z" < done["eventTime"]
    assert UUID(start["run"]["runId"]) == UUID(done["run"]["runId"])
    facets = done["run"]["facets"]
    assert facets["nominalTime"]["nominalStartTime"] == "2013-12-02T08:00:00Z"
    assert facets["archlab_facts"]["facts"] == {"rows": "7"}
    assert all({"_producer", "_schemaURL"} <= facet.keys() for facet in facets.values())
    assert done["outputs"][0]["facets"]["version"]["datasetVersion"] == f"sha256:{'b' * 64}"


def test_the_same_run_has_the_same_id_and_another_one_another() -> None:
    def named(written: LineageArtifact = WRITTEN, rows: str = "7", when: datetime | None = None) -> str:
        made = completed("train.x", inputs=[READ], outputs=[written], facts={"rows": rows}, business_time=when)
        return str(made[0]["run"]["runId"])

    assert named() == named()
    assert len({named(), named(written=READ), named(rows="8"), named(when=WHEN)}) == 4


def test_what_was_written_is_read_back() -> None:
    start, done = completed("train.flight-time", inputs=[READ], outputs=[WRITTEN], facts={"rows": "7"})
    first = log.append(None, start)
    assert read_run(first) is None
    run = read_run(log.append(first, done))
    assert run is not None
    assert (run.sequence, run.job, run.inputs, run.outputs) == (2, "train.flight-time", (READ,), (WRITTEN,))
    assert run.facts == {"rows": "7"}


def test_somebody_elses_dataset_keeps_its_namespace_and_has_no_digest_of_ours() -> None:
    _, done = completed("copy", inputs=[READ], outputs=[])
    done["inputs"] = [{"namespace": "s3://bucket", "name": "x", "facets": {"version": {"datasetVersion": "17"}}}]
    run = read_run(log.append(None, done))
    assert run is not None
    assert run.inputs == (LineageArtifact(name="s3://bucket:x"),)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("eventType", "DONE"),
        ("eventTime", "yesterday"),
        ("eventTime", "2013-12-02T08:00:00"),
        ("run", {"runId": "17"}),
        ("run", None),
        ("job", {"name": "x"}),
        ("inputs", [{"name": "x"}]),
        ("producer", None),
    ],
)
def test_what_is_no_event_is_refused(part: str, value: object) -> None:
    _, done = completed("copy", inputs=[READ], outputs=[])
    with pytest.raises(ValidationError):
        EVENT.validate_python({**done, part: value})


def test_events_beside_a_file_are_kept_whole(tmp_path: Path) -> None:
    events = completed("copy", inputs=[READ], outputs=[WRITTEN])
    spool.keep(tmp_path / spool.NAME, events)
    assert spool.kept(tmp_path / spool.NAME) == events
    assert spool.kept(tmp_path / "nowhere") == []


def test_a_file_that_changed_has_another_digest(tmp_path: Path) -> None:
    files = spool.Files(tmp_path, "cache/data/x/")
    (tmp_path / "flights.parquet").write_text("1")
    first = files.artifact("flights.parquet")
    assert first == files.artifact("flights.parquet")
    (tmp_path / "flights.parquet").write_text("12")
    assert files.artifact("flights.parquet").sha256 != first.sha256
    assert first.name == "cache/data/x/flights.parquet"
