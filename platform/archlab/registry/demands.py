"""Which decisions a call needs: the actions, on what, with which evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from archlab.errors import NotFoundError, UserError
from archlab.policy.deletions import DELETE
from archlab.policy.exceptions import GRANT, REVOKE, brought
from archlab.registry import evidence as ev
from archlab.registry import exceptions as ex
from archlab.registry import lifecycle as lc
from archlab.registry import supply
from archlab.registry.calls import Call, Kind
from archlab.registry.content import LabContent
from archlab.registry.recorder import NOTHING_ON_RECORD, OnRecord
from archlab.registry.view import Origin, RegisteredModel, RegistryView
from archlab.spec.policy import PolicyResource, Subject

CHAMPION, CHALLENGER = "champion", "challenger"
WRITE, TAG, REMOVE_CHAMPION, OTHER = "access/write", "access/tag", "access/remove_champion", "access/other"
ALIAS, NAME, REGISTER = "access/alias", "supply_chain/name", "supply_chain/register"
REMOVE_SOURCE = "retention/remove_source"
PROMOTIONS = {CHAMPION: "promotion/champion", CHALLENGER: "promotion/challenger"}

TAGGING = frozenset({Kind.TAG_MODEL, Kind.UNTAG_MODEL, Kind.TAG_VERSION, Kind.UNTAG_VERSION})

MAX_SAID = 2000
"""Letters of a tag's value that grants an exception or ends a version."""

Body = dict[str, Any]
Waivable = Callable[[], Mapping[str, bool]]
"""Whether each rule in force can be waived, by its name `AREA/RULE`."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One query to put to the rules."""

    action: str
    resource: PolicyResource
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def is_promotion(self) -> bool:
        """Whether it is about what callers are answered by."""
        return self.action.startswith("promotion/")

    @property
    def is_dated(self) -> bool:
        """Whether its evidence was put together with a business time that was just asked for."""
        return self.action.startswith(("promotion/", "exception/", "lifecycle/"))

    @property
    def is_recorded(self) -> bool:
        """Whether the decision must be on record before it takes effect, whichever way it goes."""
        return self.action.startswith(("promotion/", "retention/", "exception/", "lifecycle/"))


def text(body: Body, name: str, *others: str) -> str:
    """A text field of a request.

    Raises:
        UserError: it is absent or not text.
    """
    for key in (name, *others):
        if isinstance(found := body.get(key), str) and found:
            return found
    raise UserError(f"The request has no text in its field {name!r}.")


def promoted_to(kind: Kind, body: Body) -> str:
    """The alias that a call would move, in lower case; stage Production counts as `champion`; empty for none."""
    if kind is Kind.SET_ALIAS:
        return text(body, "alias").lower()
    if kind is Kind.TRANSITION and text(body, "stage").strip().lower() == "production":
        return CHAMPION
    return ""


def asks_log(kind: Kind, body: Body) -> bool:
    """Whether what the decision log says of the model has a say in a call."""
    return promoted_to(kind, body) in PROMOTIONS or lc.action_of(kind, body) is not None


def needs_time(kind: Kind, body: Body) -> bool:
    """Whether what becomes of a call depends on business time."""
    key = str(body.get("key"))
    approves = kind is Kind.TAG_VERSION and key == ev.APPROVED_BY
    if lc.action_of(kind, body) or (kind in TAGGING and ex.rule_of(key) is not None):
        return True
    ends = kind is Kind.DELETE_ALIAS and text(body, "alias").lower() == CHAMPION
    return approves or ends or kind in (Kind.DELETE_VERSION, Kind.DELETE_MODEL) or promoted_to(kind, body) in PROMOTIONS


def tracking(call: Call, subject: Subject) -> Demand:
    """For writes to experiments, runs and artifacts, which belong to whoever writes them."""
    kind = "experiment" if call.kind is Kind.TRACKING_WRITE else "endpoint"
    action = WRITE if call.kind is Kind.TRACKING_WRITE else OTHER
    return Demand(action, PolicyResource(kind=kind, name=call.path, team=subject.team))


class Demands:
    """Gathers what rules need to know about a call on registered models and their versions. Blocking."""

    def __init__(self, view: RegistryView, content: LabContent, waivable: Waivable) -> None:
        self._view = view
        self._content = content
        self._waivable = waivable

    def of(
        self, kind: Kind, body: Body, subject: Subject, now: datetime, on_record: OnRecord = NOTHING_ON_RECORD
    ) -> tuple[Demand, ...]:
        """Every decision that the call needs; all have to allow.

        Args:
            on_record: what the log says of the model's name; needed where `asks_log`.

        Raises:
            UserError: a field is missing.
            NotFoundError: a version to be promoted is not there.
        """
        name = text(body, "name")
        model = self._view.model(name)
        write = Demand(WRITE, self._resource(name, model, subject))
        if kind in TAGGING and (rule := ex.rule_of(text(body, "key"))) is not None:
            return (self._exception(kind, body, rule, write.resource, model, now),)
        if action := lc.action_of(kind, body):
            return (write, self._move(action, kind, body, write.resource, model, now, on_record))
        match kind:
            case Kind.SET_ALIAS:
                alias = Demand(ALIAS, write.resource, {"alias": body.get("alias")})
                return (write, alias, *self._promotion(kind, body, write.resource, model, now, on_record))
            case Kind.TRANSITION:
                return (write, *self._promotion(kind, body, write.resource, model, now, on_record))
            case Kind.DELETE_ALIAS if text(body, "alias").lower() == CHAMPION:
                return (write, *_removal(write.resource, model, "Deleting the alias champion"))
            case Kind.DELETE_MODEL:
                gone = Demand(DELETE, write.resource, self._gone(name, self._view.tags(name), now))
                return (write, *_removal(write.resource, model, "Deleting the registered model"), gone)
            case Kind.RENAME_MODEL:
                new_name = text(body, "new_name", "newName")
                target = self._resource(new_name, self._view.model(new_name), subject)
                removal = _removal(write.resource, model, "Renaming the registered model")
                return (write, Demand(WRITE, target), self._name(new_name, target, besides=name), *removal)
            case Kind.DELETE_VERSION:
                return (write, *self._deletion(text(body, "version"), write.resource, model, now))
            case Kind.TAG_VERSION | Kind.UNTAG_VERSION:
                return self._version_tag(kind, body, write)
            case Kind.CREATE_MODEL:
                return (write, self._name(name, write.resource), *_own_tags(body, write.resource))
            case Kind.CREATE_VERSION:
                source = text(body, "source")
                return (write, self._registration(source, write.resource), *_own_tags(body, write.resource))
            case Kind.TAG_MODEL | Kind.UNTAG_MODEL:
                return (write, *_tag_demands(text(body, "key"), _operation(kind), "", "", write.resource))
            case _:
                return (write,)

    def of_source(self, call: Call, body: Body, subject: Subject) -> tuple[Demand, ...]:
        """Every decision that taking away a run, an experiment, a logged model or files needs.

        Raises:
            UserError: the call does not say which.
        """
        what, origins = self._affected(call, body)
        resource = PolicyResource(kind="source", name=what, team=subject.team)
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
        where = self._view.place(f"mlflow-artifacts:/{path}")
        return f"Folder {path}", [o for o in origins if where and o.where and _overlap(where, o.where)]

    def owner(self, name: str) -> str:
        """The team that owns a registered model; empty when there is no such model."""
        model = self._view.model(name)
        return self._content.team(name) or (model.team if model else "")

    def _name(self, name: str, resource: PolicyResource, *, besides: str = "") -> Demand:
        others = [other for other in self._view.names() if other not in (name, besides)]
        return Demand(NAME, resource, {"name": name, "others": others})

    def _deletion(
        self, version: str, resource: PolicyResource, model: RegisteredModel | None, now: datetime
    ) -> tuple[Demand, ...]:
        going = {number: tags for number, tags in self._view.tags(resource.name).items() if _same(version, number)}
        about = resource.model_copy(update={"kind": "model-version", "version": version})
        champion = model.aliases.get(CHAMPION) if model else None
        is_champion = champion is not None and _same(version, champion)
        removal = _removal(resource, model, f"Deleting version {champion}") if is_champion else ()
        return (*removal, Demand(DELETE, about, self._gone(resource.name, going, now)))

    def _gone(self, name: str, going: Mapping[str, Mapping[str, str]], now: datetime) -> Body:
        """Evidence of a deletion, with what the decision keeps of it: digest, run, files."""
        origins = {
            o.version: {"run_id": o.run_id, "model_id": o.model_id, "path": o.path} for o in self._view.origins(name)
        }
        return ev.deletion(going, now, origins)

    def _resource(self, name: str, model: RegisteredModel | None, subject: Subject) -> PolicyResource:
        newcomer = subject.team if model is None else ""
        team = self._content.team(name) or (model.team if model else "") or newcomer
        return PolicyResource(kind="registered-model", name=name, team=team)

    def _registration(self, source: str, resource: PolicyResource) -> Demand:
        where = self._view.place(source)
        evidence = ev.registration(source, where)
        evidence |= {"signature": supply.signature(where, self._view.trusted_keys), "graph": supply.graph(where)}
        return Demand(REGISTER, resource, evidence)

    def _promotion(
        self,
        kind: Kind,
        body: Body,
        resource: PolicyResource,
        model: RegisteredModel | None,
        now: datetime,
        on_record: OnRecord,
    ) -> tuple[Demand, ...]:
        action = PROMOTIONS.get(promoted_to(kind, body))
        if action is None:
            return ()
        version = self._view.version(resource.name, text(body, "version"))
        if version is None or model is None:
            raise NotFoundError(f"{resource.name} has no version {body['version']}.")
        holder = model.aliases.get(CHAMPION)
        champion = self._view.version(resource.name, holder) if holder else None
        about = resource.model_copy(
            update={
                "kind": "model-version",
                "version": version.version,
                "digest": version.onnx_sha256 or "",
                "tags": dict(version.tags),
            }
        )
        known = self._content.known_at_request(resource.name)
        views = self._content.served_views()
        standings, granted = on_record.standings_of(model), on_record.exceptions
        state = lc.state(standings, model.aliases, version.version, version.tags)
        evidence = ev.promotion(version, champion, known, now, served_views=views, state=state)
        evidence["exceptions"] = brought(
            granted, created=model.created, version=version.version, digest=about.digest, now=now
        )
        if on_record.cost is not None:
            evidence["cost"] = dict(on_record.cost)
        where = self._view.place(version.source)
        evidence["signature"] = supply.signature(where, self._view.trusted_keys)
        if materials := supply.materials(where, version.tags.get(ev.BOM_SHA256)):
            evidence["version"]["bom"] = materials
        return (Demand(action, about, evidence),)

    def _move(
        self,
        action: str,
        kind: Kind,
        body: Body,
        resource: PolicyResource,
        model: RegisteredModel | None,
        now: datetime,
        on_record: OnRecord,
    ) -> Demand:
        """For what deprecates, reinstates or retires a model or one of its versions."""
        one, about = self._tagged(kind, body, resource, model)
        assert model is not None
        said = str(body.get("stage")) if kind is Kind.TRANSITION else _short(body)
        tags = one.tags if one else None
        found = lc.move(
            *(action, said, on_record.standings_of(model), model.aliases, now), version=about.version, tags=tags
        )
        return Demand(action, about, {**found, "model_created": model.created})

    def _tagged(
        self, kind: Kind, body: Body, resource: PolicyResource, model: RegisteredModel | None
    ) -> tuple[ev.Version | None, PolicyResource]:
        """The version that a call is about, None for the model as a whole, and it as a resource with its file's digest.

        Raises:
            NotFoundError: there is no such version, or no such model.
        """
        wanted = kind not in (Kind.TAG_MODEL, Kind.UNTAG_MODEL)
        one = self._view.version(resource.name, text(body, "version")) if wanted else None
        if model is None or (one is None and wanted):
            raise NotFoundError(f"There is no {resource.name} {body.get('version', '')}".rstrip() + ".")
        if one is None:
            return None, resource
        changes = {"kind": "model-version", "version": one.version, "digest": one.onnx_sha256 or ""}
        return one, resource.model_copy(update=changes)

    def _exception(
        self,
        kind: Kind,
        body: Body,
        rule: str,
        resource: PolicyResource,
        model: RegisteredModel | None,
        now: datetime,
    ) -> Demand:
        """For a tag that waives a rule, for a model or for one of its versions, or takes that back."""
        one, resource = self._tagged(kind, body, resource, model)
        assert model is not None
        if _operation(kind) == "delete":
            return Demand(REVOKE, resource, {"rule": rule})
        authors = [one.author] if one else sorted({t.get(ev.AUTHOR, "") for t in self._view.tags(model.name).values()})
        value = _short(body)
        return Demand(GRANT, resource, ex.grant(rule, value, self._waivable(), authors, model.created, now))

    def _version_tag(self, kind: Kind, body: Body, write: Demand) -> tuple[Demand, ...]:
        key, value = text(body, "key"), str(body.get("value", ""))
        version = self._view.version(write.resource.name, text(body, "version"))
        author = version.author if version else ""
        resource = write.resource.model_copy(update={"kind": "model-version", "version": text(body, "version")})
        tag = _tag_demands(key, _operation(kind), value, author, resource)
        return tag if key == ev.APPROVED_BY else (write, *tag)


def _own_tags(body: Body, resource: PolicyResource) -> tuple[Demand, ...]:
    """For tags that come with the creation of a model or version."""
    tags = body.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, dict) for tag in tags):
        raise UserError("The request's field 'tags' is not a list of {key, value}.")
    found = (_tag_demands(str(t.get("key")), "set", str(t.get("value", "")), "", resource) for t in tags)
    return tuple(demand for demands in found for demand in demands)


def _tag_demands(key: str, operation: str, value: str, author: str, resource: PolicyResource) -> tuple[Demand, ...]:
    """Only the platform's own tags are asked about."""
    if not key.lower().startswith("archlab."):
        return ()
    about = {"key": key, "operation": operation, "value": value, **({"author": author} if author else {})}
    return (Demand(TAG, resource, about),)


def _removal(resource: PolicyResource, model: RegisteredModel | None, operation: str) -> tuple[Demand, ...]:
    if model is None or CHAMPION not in {alias.lower() for alias in model.aliases}:
        return ()
    return (Demand(REMOVE_CHAMPION, resource, {"operation": operation}),)


def _short(body: Body) -> str:
    """A tag's value that is a decision: what MLflow would not take must not be decided on.

    Raises:
        UserError: it is longer than anybody reads.
    """
    value = str(body.get("value", ""))
    if len(value) > MAX_SAID:
        raise UserError(f"The tag's value has {len(value)} letters; {MAX_SAID} are the most.", "Say it shorter.")
    return value


def _operation(kind: Kind) -> str:
    return "delete" if kind in (Kind.UNTAG_MODEL, Kind.UNTAG_VERSION) else "set"


def _overlap(one: Path, other: Path) -> bool:
    """Whether one folder is the other, or lies in it."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def _same(version: str, other: str) -> bool:
    """Whether two version numbers are one: MLflow's database takes 02 for 2."""
    try:
        return int(version) == int(other)
    except ValueError:
        return False
