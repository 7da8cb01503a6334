"""Which decisions a call needs: the actions, on what, with which evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from archlab.errors import NotFoundError, UserError
from archlab.policy.audit import CANARY
from archlab.policy.deletions import DELETE
from archlab.policy.exceptions import GRANT, REVOKE, brought
from archlab.policy.traffic import REMOVE_CHAMPION
from archlab.registry import canary as cn
from archlab.registry import evidence as ev
from archlab.registry import exceptions as ex
from archlab.registry import lifecycle as lc
from archlab.registry import supply
from archlab.registry.calls import Kind
from archlab.registry.content import LabContent
from archlab.registry.demand import (
    CHALLENGER,
    CHAMPION,
    PROMOTIONS,
    TAGGING,
    WRITE,
    Body,
    Demand,
    promoted_to,
    tags_of,
    text,
)
from archlab.registry.ownership import Ownership
from archlab.registry.recorder import NOTHING_ON_RECORD, OnRecord
from archlab.registry.things import Thing, What
from archlab.registry.view import RegisteredModel, RegistryView
from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.policy import PolicyResource, Subject

TAG = "access/tag"
ALIAS, NAME, REGISTER = "access/alias", "supply_chain/name", "supply_chain/register"
REMOVE_SOURCE = "retention/remove_source"

MAX_SAID = 2000
"""Letters of a tag's value that grants an exception or ends a version."""

Waivable = Callable[[], Mapping[str, bool]]
"""Whether each rule in force can be waived, by its name `AREA/RULE`."""


@dataclass(frozen=True, slots=True)
class Change:
    """A call on a registered model, and what is known of the model."""

    kind: Kind
    body: Body
    resource: PolicyResource
    """The model itself."""
    model: RegisteredModel | None
    """None when there is none yet."""
    now: datetime
    on_record: OnRecord


class Demands:
    """Gathers what rules need to know about a call on registered models and their versions. Blocking."""

    def __init__(self, view: RegistryView, content: LabContent, ownership: Ownership, waivable: Waivable) -> None:
        self._view = view
        self._content = content
        self._waivable = waivable
        self._ownership = ownership

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
        change = Change(kind, body, self._resource(name, model, subject), model, now, on_record)
        write = Demand(WRITE, change.resource)
        if kind in TAGGING and (rule := ex.rule_of(text(body, "key"))) is not None:
            return (self._exception(rule, change),)
        if action := lc.action_of(kind, body):
            return (write, self._move(action, change))
        if cn.is_canary(kind, body):
            return (write, self._canary(change))
        return self._usual(change, write, subject)

    def _usual(self, change: Change, write: Demand, subject: Subject) -> tuple[Demand, ...]:
        """Of calls that are no decision by a tag."""
        kind, body, resource, model = change.kind, change.body, change.resource, change.model
        match kind:
            case Kind.SET_ALIAS:
                return (write, Demand(ALIAS, resource, {"alias": body.get("alias")}), *self._promotion(change))
            case Kind.TRANSITION:
                return (write, *self._promotion(change))
            case Kind.DELETE_ALIAS if text(body, "alias").lower() == CHAMPION:
                return (write, *_removal(resource, model, "Deleting the alias champion"))
            case Kind.DELETE_MODEL:
                gone = Demand(DELETE, resource, self._gone(resource.name, self._view.tags(resource.name), change.now))
                return (write, *_removal(resource, model, "Deleting the registered model"), gone)
            case Kind.RENAME_MODEL:
                new_name = text(body, "new_name", "newName")
                target = self._resource(new_name, self._view.model(new_name), subject)
                removal = _removal(resource, model, "Renaming the registered model")
                return (write, Demand(WRITE, target), self._name(new_name, target, besides=resource.name), *removal)
            case Kind.DELETE_VERSION:
                return (write, *self._deletion(text(body, "version"), resource, model, change.now))
            case Kind.TAG_VERSION | Kind.UNTAG_VERSION:
                return self._version_tag(kind, body, write)
            case Kind.CREATE_MODEL:
                return (write, self._name(resource.name, resource), *own_tags(body, resource))
            case Kind.CREATE_VERSION:
                return (write, self._registration(body, resource), *own_tags(body, resource))
            case Kind.TAG_MODEL | Kind.UNTAG_MODEL:
                return (write, *tag_demands(text(body, "key"), _operation(kind), "", "", resource))
            case _:
                return (write,)

    def _name(self, name: str, resource: PolicyResource, *, besides: str = "") -> Demand:
        others = [other for other in self._view.names() if other not in (name, besides)]
        return Demand(NAME, resource, {"name": name, "others": others})

    def _deletion(
        self, version: str, resource: PolicyResource, model: RegisteredModel | None, now: datetime
    ) -> tuple[Demand, ...]:
        going = {number: tags for number, tags in self._view.tags(resource.name).items() if _same(version, number)}
        number = next(iter(going), version)  # as the log's readers compare it
        about = resource.model_copy(update={"kind": "model-version", "version": number})
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

    def _registration(self, body: Body, resource: PolicyResource) -> Demand:
        source = text(body, "source")
        where = self._view.files(source)
        evidence = ev.registration(source, where)
        evidence["source_teams"] = sorted(self._teams_of(source, body))
        evidence |= {"signature": supply.signature(where, self._view.trusted_keys), "graph": supply.graph(where)}
        return Demand(REGISTER, resource, evidence)

    def _teams_of(self, source: str, body: Body) -> set[str]:
        """Teams that a version's files, run and logged model belong to; `platform` for nobody's."""
        files = self._view.experiment_of_place(source)
        found = {self._view.experiment_team(files)} if files else set()
        origins = {"run_id": What.RUN, "runId": What.RUN, "model_id": What.LOGGED_MODEL, "modelId": What.LOGGED_MODEL}
        named = (Thing(what, str(body[field])) for field, what in origins.items() if body.get(field))
        return {team or PLATFORM_TEAM for team in found | {self._ownership.owner(thing) for thing in named}}

    def _promotion(self, change: Change) -> tuple[Demand, ...]:
        action = PROMOTIONS.get(promoted_to(change.kind, change.body))
        return (self._candidacy(action, change),) if action else ()

    def _canary(self, change: Change) -> Demand:
        """For a share of the callers that a challenger is to answer."""
        found = self._candidacy(CANARY, change)
        about, traffic = found.resource, change.on_record.traffic
        share = cn.evidence(change.kind, _short(change.body), traffic, about.version, about.digest)
        verdicts = {"as_challenger": PROMOTIONS[CHALLENGER], "as_champion": PROMOTIONS[CHAMPION]}
        return Demand(CANARY, about, {**found.evidence, **share}, verdicts)

    def _candidacy(self, action: str, change: Change) -> Demand:
        """All that there is to know of a version that is to answer callers."""
        resource, model, now, on_record = change.resource, change.model, change.now, change.on_record
        version = self._view.version(resource.name, text(change.body, "version"))
        if version is None or model is None:
            raise NotFoundError(f"{resource.name} has no version {change.body['version']}.")
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
        tenures = on_record.traffic.tenures
        held = ev.tenure(version, tenures) is not None
        state = lc.state(standings, model.aliases, version.version, held=held)
        evidence = ev.promotion(version, champion, known, now, served_views=views, state=state, tenures=tenures)
        if (restricted := self._content.restricted_views()) is not None:
            evidence["restricted_views"] = restricted
        evidence["exceptions"] = brought(
            granted, created=model.created, version=version.version, digest=about.digest, now=now
        )
        if on_record.cost is not None:
            evidence["cost"] = dict(on_record.cost)
        where = self._view.files(version.source)
        evidence["signature"] = supply.signature(where, self._view.trusted_keys)
        if materials := supply.materials(where, version.tags.get(ev.BOM_SHA256)):
            evidence["version"]["bom"] = materials
        return Demand(action, about, evidence)

    def _move(self, action: str, change: Change) -> Demand:
        """For what deprecates, reinstates or retires a model or one of its versions."""
        kind, body, now, on_record = change.kind, change.body, change.now, change.on_record
        model, one, about = self._tagged(change)
        said = str(body.get("stage")) if kind is Kind.TRANSITION else _short(body)
        held = one is not None and ev.tenure(one, on_record.traffic.tenures) is not None
        found = lc.move(
            *(action, said, on_record.standings_of(model), model.aliases, now), version=about.version, held=held
        )
        return Demand(action, about, {**found, "model_created": model.created})

    def _tagged(self, change: Change) -> tuple[RegisteredModel, ev.Version | None, PolicyResource]:
        """The model; the version that a call is about, None for all of it; that as a resource with its file's digest.

        Raises:
            NotFoundError: there is no such version, or no such model.
        """
        resource, body = change.resource, change.body
        wanted = change.kind not in (Kind.TAG_MODEL, Kind.UNTAG_MODEL)
        one = self._view.version(resource.name, text(body, "version")) if wanted else None
        if change.model is None or (one is None and wanted):
            raise NotFoundError(f"There is no {resource.name} {body.get('version', '')}".rstrip() + ".")
        if one is None:
            return change.model, None, resource
        changes = {"kind": "model-version", "version": one.version, "digest": one.onnx_sha256 or ""}
        return change.model, one, resource.model_copy(update=changes)

    def _exception(self, rule: str, change: Change) -> Demand:
        """For a tag that waives a rule, for a model or for one of its versions, or takes that back."""
        model, one, resource = self._tagged(change)
        if _operation(change.kind) == "delete":
            return Demand(REVOKE, resource, {"rule": rule})
        authors = [one.author] if one else sorted({t.get(ev.AUTHOR, "") for t in self._view.tags(model.name).values()})
        said = _short(change.body)
        return Demand(GRANT, resource, ex.grant(rule, said, self._waivable(), authors, model.created, change.now))

    def _version_tag(self, kind: Kind, body: Body, write: Demand) -> tuple[Demand, ...]:
        key, value = text(body, "key"), str(body.get("value", ""))
        version = self._view.version(write.resource.name, text(body, "version"))
        author = version.author if version else ""
        resource = write.resource.model_copy(update={"kind": "model-version", "version": text(body, "version")})
        tag = tag_demands(key, _operation(kind), value, author, resource)
        return tag if key == ev.APPROVED_BY else (write, *tag)


def own_tags(body: Body, resource: PolicyResource) -> tuple[Demand, ...]:
    """For tags that come with the creation of a model or version."""
    found = (tag_demands(str(t.get("key")), "set", str(t.get("value", "")), "", resource) for t in tags_of(body))
    return tuple(demand for demands in found for demand in demands)


def tag_demands(key: str, operation: str, value: str, author: str, resource: PolicyResource) -> tuple[Demand, ...]:
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


def _same(version: str, other: str) -> bool:
    """Whether two version numbers are one: MLflow's database takes 02 for 2."""
    try:
        return int(version) == int(other)
    except ValueError:
        return False
