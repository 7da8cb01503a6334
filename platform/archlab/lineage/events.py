"""OpenLineage run events (specification 2-0-2): those of a run that is over, and what an event says.

Each run is reported by two events, START and COMPLETE, once its outputs exist. A dataset's facet `version` has the
SHA-256 of its content, which is what one run's outputs and the next one's inputs are joined by. A run's id follows from
what it did, so that a run that was killed and done again is not reported twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from archlab.lineage.names import NAMESPACE
from archlab.spec.lineage import LineageArtifact, LineageRecord, LineageRun

SHA256 = "sha256:"
FACTS = "archlab_facts"
COMPLETE = '"eventType":"COMPLETE"'
_DIGEST = re.compile(f"{SHA256}[0-9a-f]{{64}}")
_RUNS = UUID("6f1d2d0c-9a53-5b7e-8f0b-3d5a7c1e2b94")
"""Namespace of run ids that follow from what a run did."""

Event = dict[str, Any]


def completed(
    job: str,
    *,
    inputs: Iterable[LineageArtifact],
    outputs: Iterable[LineageArtifact],
    facts: Mapping[str, str] | None = None,
    began: datetime | None = None,
    business_time: datetime | None = None,
    run_id: str | None = None,
) -> list[Event]:
    """START and COMPLETE of a run that is over.

    Args:
        job: what ran, `STEP.SUBJECT`.
        inputs: what it read.
        outputs: what it wrote.
        facts: further texts.
        began: wall time of its start; now when it took no time worth telling.
        business_time: the moment on the business clock that it was for (facet `nominalTime`).
        run_id: a UUID, where the run has one already.
    """
    read, written, said = tuple(inputs), tuple(outputs), dict(facts or {})
    ended = datetime.now(UTC)
    named = run_id or str(uuid5(_RUNS, _canonical([job, _plain(read), _plain(written), said, str(business_time)])))
    # the library's client comes with it, which processes that report nothing do without
    from archlab.lineage.reporting import Report

    report = Report(job, named, read, written, said, _iso(business_time) if business_time else "")
    return [report.started(_iso(began or ended)), report.completed(_iso(ended))]


def read_run(record: LineageRecord) -> LineageRun | None:
    """The completed run that a record is about; None for any other event, and for what can't be read any more."""
    if COMPLETE not in record.event:
        return None
    try:
        event = json.loads(record.event)
        return LineageRun(
            sequence=record.sequence,
            job=event["job"]["name"],
            run_id=event["run"]["runId"],
            at=event["eventTime"],
            inputs=tuple(_artifact(found) for found in event.get("inputs", [])),
            outputs=tuple(_artifact(found) for found in event.get("outputs", [])),
            facts={str(k): str(v) for k, v in _facts(event).items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _artifact(dataset: Mapping[str, Any]) -> LineageArtifact:
    """A dataset by name; one of another namespace has that in front. A version that is no SHA-256 counts as none."""
    said = (dataset.get("facets") or {}).get("version") or {}
    version = str(said.get("datasetVersion", ""))
    sha256 = version.removeprefix(SHA256) if _DIGEST.fullmatch(version) else ""
    ours = dataset["namespace"] == NAMESPACE
    return LineageArtifact(name=dataset["name"] if ours else f"{dataset['namespace']}:{dataset['name']}", sha256=sha256)


def _facts(event: Mapping[str, Any]) -> Mapping[str, Any]:
    said = ((event["run"].get("facets") or {}).get(FACTS) or {}).get("facts")
    return said if isinstance(said, dict) else {}


def _plain(artifacts: tuple[LineageArtifact, ...]) -> list[list[str]]:
    return sorted([a.name, a.sha256] for a in artifacts)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
