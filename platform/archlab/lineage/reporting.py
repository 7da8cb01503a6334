"""A run's events, made with the OpenLineage project's own classes (`openlineage-python`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attrs import define
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import RunFacet, dataset_version_dataset, job_type_job, nominal_time_run
from openlineage.client.serde import Serde

from archlab import __version__
from archlab.lineage.events import FACTS, SHA256, Event
from archlab.lineage.names import NAMESPACE
from archlab.spec.lineage import LineageArtifact

PRODUCER = f"urn:archlab:{__version__}"


@define
class ArchlabFacts(RunFacet):
    """What a run says of itself beside its datasets: texts by name."""

    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """A run that is over."""

    job: str
    run_id: str
    inputs: Sequence[LineageArtifact]
    outputs: Sequence[LineageArtifact]
    facts: Mapping[str, str]
    nominal_start: str
    """ISO 8601 in UTC; empty when the run was for no moment in particular."""

    def started(self, at: str) -> Event:
        """START, at a moment in ISO 8601."""
        return self._event(RunState.START, at)

    def completed(self, at: str) -> Event:
        """COMPLETE, with what was read and written."""
        return self._event(
            RunState.COMPLETE,
            at,
            inputs=[InputDataset(namespace=NAMESPACE, name=a.name, facets=_facets(a)) for a in self.inputs],
            outputs=[OutputDataset(namespace=NAMESPACE, name=a.name, facets=_facets(a)) for a in self.outputs],
        )

    def _event(self, state: RunState, at: str, **datasets: Any) -> Event:
        kind = job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="ARCHLAB", jobType="JOB", producer=PRODUCER
        )
        made = RunEvent(
            eventType=state,
            eventTime=at,
            producer=PRODUCER,
            run=Run(runId=self.run_id, facets=self._run_facets()),
            job=Job(namespace=NAMESPACE, name=self.job, facets={"jobType": kind}),
            **datasets,
        )
        found: Event = Serde.to_dict(made)
        return found

    def _run_facets(self) -> dict[str, RunFacet]:
        facets: dict[str, RunFacet] = {}
        if self.facts:
            facets[FACTS] = ArchlabFacts(facts=dict(self.facts), producer=PRODUCER)
        if self.nominal_start:
            facets["nominalTime"] = nominal_time_run.NominalTimeRunFacet(
                nominalStartTime=self.nominal_start, producer=PRODUCER
            )
        return facets


def _facets(artifact: LineageArtifact) -> dict[str, Any]:
    if not artifact.sha256:
        return {}
    facet = dataset_version_dataset.DatasetVersionDatasetFacet
    return {"version": facet(datasetVersion=SHA256 + artifact.sha256, producer=PRODUCER)}
