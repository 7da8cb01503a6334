"""Where something came from: OpenLineage run events as the lab keeps them, and the graph drawn back from one."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from .base import Sha256, Spec, UtcTime

NodeKind = Literal[
    "prediction",
    "alias",
    "release",
    "table",
    "batch answers",
    "version",
    "decision",
    "model file",
    "training set",
    "snapshot",
    "view rows",
    "view history",
    "typed data",
    "source file",
    "dataset",
]


class LineageArtifact(Spec):
    """Something that a run read or wrote: a name, and the digest of its content where it has one."""

    name: str
    sha256: Sha256 | Literal[""] = ""


class LineageRecord(Spec):
    """One event as control keeps it. `hash` covers sequence, previous hash and the event's text."""

    format: Literal["archlab/lineage-record/v1"] = "archlab/lineage-record/v1"
    sequence: int
    event: str
    """The OpenLineage run event: canonical JSON."""
    previous: str
    hash: str


class LineageRun(Spec):
    """A completed run, read from its event."""

    sequence: int
    job: str
    run_id: str
    at: UtcTime
    inputs: tuple[LineageArtifact, ...]
    outputs: tuple[LineageArtifact, ...]
    facts: dict[str, str] = {}
    """What the run says of itself beside its datasets: facet `archlab_facts`."""


class LineageGap(Spec):
    """A link that is missing, or that is not what the one beside it says."""

    link: str
    """`FROM -> TO`, in the words of the graph."""
    missing: str
    """What was looked for, and what was found instead."""
    remedy: str
    """What would have made it."""


class LineageNode(Spec):
    """One thing on the way back, and what it was made from."""

    id: str
    kind: NodeKind
    name: str
    sha256: Sha256 | Literal[""] = ""
    facts: dict[str, str] = {}
    made_by: LineageRun | None = None
    inputs: tuple[str, ...] = ()
    """Ids of the nodes that it came from."""
    gaps: tuple[LineageGap, ...] = ()


class Lineage(Spec):
    """The graph from one model, version or prediction back to the source files. `root` is drawn first."""

    format: Literal["archlab/lineage/v1"] = "archlab/lineage/v1"
    lab: str
    root: str
    nodes: tuple[LineageNode, ...]
    gaps: tuple[LineageGap, ...]
    """All of them: those of the nodes, and those of the logs that everything rests on."""
    sources: dict[str, str]
    """Digests of the source files that were reached, by name."""


class _Open(BaseModel):
    """Part of a foreign format: what is not named here stays as it is."""

    model_config = ConfigDict(extra="allow")


class _Named(_Open):
    namespace: str = Field(min_length=1, max_length=500)
    name: str = Field(min_length=1, max_length=1000)
    facets: dict[str, dict[str, Any]] = {}


class _Run(_Open):
    facets: dict[str, dict[str, Any]] = {}
    runId: Annotated[  # noqa: N815
        str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
    ]


class _RunEvent(_Open):
    eventType: Literal["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]  # noqa: N815
    eventTime: UtcTime  # noqa: N815
    producer: str
    schemaURL: str  # noqa: N815
    run: _Run
    job: _Named
    inputs: list[_Named] = Field(default=[], max_length=1000)
    outputs: list[_Named] = Field(default=[], max_length=1000)


def _run_event(value: dict[str, Any]) -> dict[str, Any]:
    try:
        _RunEvent.model_validate(value)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
    json.dumps(value, allow_nan=False)
    return value


OpenLineageEvent = Annotated[dict[str, Any], AfterValidator(_run_event)]
"""A run event of the OpenLineage specification 2-0-2, as it came."""
