"""What a way back is computed from: events, decisions, registry, feed, files. No I/O of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from uuid import UUID

from archlab.policy.deletions import DELETE
from archlab.spec.lineage import LineageArtifact, LineageRun
from archlab.spec.policy import DecisionRecord
from archlab.spec.release import FeatureSnapshot, Release


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the registry says that a version comes from."""

    tags: dict[str, str]
    run_id: str
    run_tags: dict[str, str] | None
    """Of the run; None when the registry has no such run."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """One line of a prediction log."""

    request_id: str
    at: datetime
    model: str
    version: str
    release: str
    snapshot: int
    status: int
    shadow: bool
    keys: str
    prediction: str


@dataclass(frozen=True)
class Facts:
    """Everything that is on record in one lab, and ways to look at the registry and at files.

    Args:
        lab: its name.
        runs: completed runs, oldest first.
        log_faults: what is wrong with the log that they were read from.
        decisions: the decision log.
        decision_faults: what is wrong with it.
        releases: the feed in force.
        manifest: the feature snapshot in force, with its digest.
        origin: tags and run of a version; None when the registry has no such version.
        found: digest of what is there now under an artifact's name; None when it is not kept, "" when it is gone.
    """

    lab: str
    runs: tuple[LineageRun, ...]
    log_faults: tuple[str, ...]
    decisions: tuple[DecisionRecord, ...]
    decision_faults: tuple[str, ...]
    releases: tuple[Release, ...]
    manifest: tuple[FeatureSnapshot, str] | None
    origin: Callable[[str, str], Origin | None]
    found: Callable[[LineageArtifact], str | None]
    aliases: dict[str, dict[str, str]] = field(default_factory=dict)

    @cached_property
    def _makers(self) -> dict[str, list[tuple[LineageArtifact, LineageRun]]]:
        known: dict[str, list[tuple[LineageArtifact, LineageRun]]] = {}
        for run in self.runs:
            for output in run.outputs:
                known.setdefault(output.name, []).append((output, run))
        return known

    def maker(self, artifact: LineageArtifact) -> LineageRun | None:
        """The newest run that wrote this very content under this name."""
        fits = (run for output, run in reversed(self.made(artifact.name)) if output.sha256 == artifact.sha256)
        return next(fits, None)

    def made(self, name: str) -> list[tuple[LineageArtifact, LineageRun]]:
        """Whatever was written under a name, oldest first, with its run."""
        return self._makers.get(name, [])

    def registered_by(self, name: str, run_id: str) -> LineageRun | None:
        """The run that the registry names as a version's, where it wrote that version."""
        return next((r for _, r in self.made(name) if same_run(r.run_id, run_id)), None)

    def decision(self, identifier: str) -> DecisionRecord | None:
        """A decision by its id."""
        return next((d for d in self.decisions if d.id == identifier), None)

    def allowed(self, action: str, model: str, version: str) -> DecisionRecord | None:
        """The newest decision that allowed it."""
        return next(
            (
                d
                for d in reversed(self.decisions)
                if d.decision.allow
                and d.query.action == action
                and (d.query.resource.name, d.query.resource.version) == (model, version)
            ),
            None,
        )

    def deleted(self, model: str, version: str) -> DecisionRecord | None:
        """The decision that let a version be deleted: what stays of it when the registry has nothing any more."""

        def fits(record: DecisionRecord) -> bool:
            about, listed = record.query.resource, record.query.evidence.get("versions")
            numbers = {v.get("version") for v in listed if isinstance(v, dict)} if isinstance(listed, list) else set()
            return about.name == model and (about.version == version or version in numbers)

        allowed = (d for d in self.decisions if d.decision.allow and d.query.action == DELETE)
        return next((d for d in allowed if fits(d)), None)


def same_run(one: str, other: str) -> bool:
    """Whether two ids are one run's: MLflow writes UUIDs without dashes."""
    try:
        return UUID(one) == UUID(other)
    except ValueError:
        return False
