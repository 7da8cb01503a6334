"""Which decisions a write to experiments, runs, logged models and files needs, and taking them away. Blocking."""

from __future__ import annotations

from pathlib import PurePosixPath

from archlab.errors import RefusedError
from archlab.plan.access import writes_anywhere
from archlab.registry import evidence as ev
from archlab.registry.calls import Call, Kind
from archlab.registry.demand import OTHER, WRITE, Body, Demand, tags_of, text
from archlab.registry.demands import REMOVE_SOURCE, own_tags, tag_demands
from archlab.registry.ownership import Ownership
from archlab.registry.things import Thing, Values, What, things
from archlab.registry.view import Origin, RegistryView
from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.policy import PolicyResource, Subject


def anywhere(call: Call, subject: Subject) -> Demand:
    """For a write to runs, experiments and artifacts by somebody who may write to any team's, and for unknown calls."""
    known = call.kind is not Kind.OTHER
    about = PolicyResource(kind="experiment" if known else "endpoint", name=call.path, team=subject.team)
    return Demand(WRITE if known else OTHER, about)


class TrackingDemands:
    """Gathers what rules need to know about a call on what registered versions come from."""

    def __init__(self, view: RegistryView, ownership: Ownership) -> None:
        self._view = view
        self._ownership = ownership

    def of_tracking(self, call: Call, said: Values, body: Body, subject: Subject) -> tuple[Demand, ...]:
        """Every decision that a write to experiments, runs, logged models and their files needs.

        Raises:
            UserError: the call does not say to which.
            RefusedError: an experiment is to have its files somewhere else.
        """
        if call.kind is Kind.CREATE_EXPERIMENT:
            return self._new_experiment(body, subject)
        about = None if call.kind is Kind.OTHER else things(call, said)
        if about is None:
            return (Demand(OTHER, PolicyResource(kind="endpoint", name=call.path, team=subject.team)),)
        writes = tuple(Demand(WRITE, self._owned(thing, subject)) for thing in about)
        if call.kind is not Kind.TAG_EXPERIMENT:
            return writes
        operation = "delete" if call.path.endswith("delete-experiment-tag") else "set"
        return (*writes, *tag_demands(text(body, "key"), operation, "", "", writes[0].resource))

    def _new_experiment(self, body: Body, subject: Subject) -> tuple[Demand, ...]:
        resource = PolicyResource(kind="experiment", name=text(body, "name"), team=subject.team)
        if writes_anywhere(subject):
            return (Demand(WRITE, resource),)
        if body.get("artifact_location") or body.get("artifactLocation"):
            raise RefusedError(
                "An experiment's files lie where the platform puts them.", "Leave artifact_location out."
            )
        own = {"key": ev.TEAM, "value": subject.team}
        kept = [tag for tag in tags_of(body) if tag != own]
        return (Demand(WRITE, resource), *own_tags({"tags": kept}, resource))

    def _owned(self, thing: Thing, subject: Subject) -> PolicyResource:
        """A thing with its owner; what is nobody's is the platform's, what is not there is for MLflow to miss."""
        owner = self._ownership.owner(thing)
        team = subject.team if owner is None and thing.what is not What.FILES else owner or PLATFORM_TEAM
        return PolicyResource(kind=thing.kind, name=thing.name, team=team)

    def of_source(self, call: Call, said: Values, body: Body, subject: Subject) -> tuple[Demand, ...]:
        """Every decision that taking away a run, an experiment, a logged model or files needs.

        Raises:
            UserError: the call does not say which.
        """
        what, origins = self._affected(call, body)
        owners = {self._owned(thing, subject).team for thing in things(call, said) or ()}
        resource = PolicyResource(kind="source", name=what, team=owners.pop() if len(owners) == 1 else PLATFORM_TEAM)
        registered = [{"name": origin.name, "version": origin.version} for origin in origins]
        return (Demand(WRITE, resource), Demand(REMOVE_SOURCE, resource, {"registered": registered}))

    def _affected(self, call: Call, body: Body) -> tuple[str, list[Origin]]:
        """What goes, and the registered versions that come from it."""
        origins = self._view.origins()
        if call.kind is Kind.DELETE_RUN:
            run = text(body, "run_id", "runId")
            return f"Run {run}", [o for o in origins if o.run_id == run]
        if call.kind is Kind.DELETE_EXPERIMENT:
            experiment = text(body, "experiment_id", "experimentId")
            return f"Experiment {experiment}", [o for o in origins if self._view.experiment(o.run_id) == experiment]
        if call.kind is Kind.DELETE_LOGGED_MODEL:
            model_id = call.path.rpartition("/")[2]
            return f"Logged model {model_id}", [o for o in origins if o.model_id == model_id]
        path = call.path.partition("/artifacts/")[2]
        where = self._view.path(f"mlflow-artifacts:/{path}")
        return f"Folder {path}", [o for o in origins if where and o.path and _overlap(where, PurePosixPath(o.path))]


def _overlap(one: PurePosixPath, other: PurePosixPath) -> bool:
    """Whether one folder is the other, or lies in it."""
    return one.is_relative_to(other) or other.is_relative_to(one)
