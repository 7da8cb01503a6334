"""Which decisions a call needs: the actions, on what, with which evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from archlab.errors import NotFoundError, UserError
from archlab.registry import evidence as ev
from archlab.registry.calls import Call, Kind
from archlab.registry.content import LabContent
from archlab.registry.view import RegisteredModel, RegistryView
from archlab.spec.policy import PolicyResource, Subject

CHAMPION, CHALLENGER = "champion", "challenger"
WRITE, TAG, REMOVE_CHAMPION, OTHER = "access/write", "access/tag", "access/remove_champion", "access/other"
PROMOTIONS = {CHAMPION: "promotion/champion", CHALLENGER: "promotion/challenger"}

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Demand:
    """One query to put to the rules."""

    action: str
    resource: PolicyResource
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def is_promotion(self) -> bool:
        """Whether the decision must be on record before it takes effect, whichever way it goes."""
        return self.action.startswith("promotion/")


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


def tracking(call: Call, subject: Subject) -> Demand:
    """For writes to experiments, runs and artifacts, which belong to whoever writes them."""
    kind = "experiment" if call.kind is Kind.TRACKING_WRITE else "endpoint"
    action = WRITE if call.kind is Kind.TRACKING_WRITE else OTHER
    return Demand(action, PolicyResource(kind=kind, name=call.path, team=subject.team))


class Demands:
    """Gathers what rules need to know about a call on registered models and their versions. Blocking."""

    def __init__(self, view: RegistryView, content: LabContent) -> None:
        self._view = view
        self._content = content

    def of(self, kind: Kind, body: Body, subject: Subject, now: datetime) -> tuple[Demand, ...]:
        """Every decision that the call needs; all have to allow.

        Raises:
            UserError: a field is missing.
            NotFoundError: a version to be promoted is not there.
        """
        name = text(body, "name")
        model = self._view.model(name)
        write = Demand(WRITE, self._resource(name, model, subject))
        match kind:
            case Kind.SET_ALIAS | Kind.TRANSITION:
                return (write, *self._promotion(kind, body, write.resource, model, now))
            case Kind.DELETE_ALIAS if text(body, "alias").lower() == CHAMPION:
                return (write, *_removal(write.resource, model, "Deleting the alias champion"))
            case Kind.DELETE_MODEL:
                return (write, *_removal(write.resource, model, "Deleting the registered model"))
            case Kind.RENAME_MODEL:
                new_name = text(body, "new_name", "newName")
                target = self._resource(new_name, self._view.model(new_name), subject)
                removal = _removal(write.resource, model, "Renaming the registered model")
                return (write, Demand(WRITE, target), *removal)
            case Kind.DELETE_VERSION:
                champion = model.aliases.get(CHAMPION) if model else None
                is_champion = champion is not None and _same(text(body, "version"), champion)
                operation = f"Deleting version {champion}"
                return (write, *(_removal(write.resource, model, operation) if is_champion else ()))
            case Kind.TAG_VERSION | Kind.UNTAG_VERSION:
                return self._version_tag(kind, body, write)
            case Kind.CREATE_MODEL | Kind.CREATE_VERSION:
                return (write, *_own_tags(body, write.resource))
            case Kind.TAG_MODEL | Kind.UNTAG_MODEL:
                return (write, *_tag_demands(text(body, "key"), _operation(kind), "", "", write.resource))
            case _:
                return (write,)

    def owner(self, name: str) -> str:
        """The team that the scenario gives a model to; empty when it names none."""
        return self._content.team(name)

    def _resource(self, name: str, model: RegisteredModel | None, subject: Subject) -> PolicyResource:
        newcomer = subject.team if model is None else ""
        team = self._content.team(name) or (model.team if model else "") or newcomer
        return PolicyResource(kind="registered-model", name=name, team=team)

    def _promotion(
        self, kind: Kind, body: Body, resource: PolicyResource, model: RegisteredModel | None, now: datetime
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
        return (Demand(action, about, ev.promotion(version, champion, known, now)),)

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


def _operation(kind: Kind) -> str:
    return "delete" if kind in (Kind.UNTAG_MODEL, Kind.UNTAG_VERSION) else "set"


def _same(version: str, other: str) -> bool:
    """Whether two version numbers are one: MLflow's database takes 02 for 2."""
    try:
        return int(version) == int(other)
    except ValueError:
        return False
