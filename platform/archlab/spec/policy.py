"""A policy decision: what is asked, what comes back, what is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import Field

from .base import Sha256, Spec, UtcTime


class Subject(Spec):
    """Who asks."""

    user: str
    team: str
    roles: tuple[str, ...]


class PolicyResource(Spec):
    """What it is about."""

    kind: str
    name: str
    version: str = ""
    digest: str = ""
    team: str = ""
    tags: dict[str, str] = {}


class Query(Spec):
    """The input of every rule."""

    subject: Subject
    action: str
    """`AREA/VERB`, e.g. `promotion/champion`, `access/write`; the area picks the rules."""
    resource: PolicyResource
    evidence: dict[str, Any]
    time: UtcTime
    """Business time."""


class Reason(Spec):
    """One objection: which rule, a stable code, a sentence for people."""

    rule: str
    code: str
    message: str


class ExceptionUse(Spec):
    """An exception without which the decision would have been another: which, by whom, until when."""

    id: str
    """Of the decision that granted it."""
    rule: str
    granted_by: str
    owner: str
    until: str
    """Business time, ISO 8601."""


class PolicyException(Spec):
    """A rule that does not count for one model, or for one version of it, up to a moment of business time."""

    id: str
    """Of the decision that granted it."""
    rule: str
    model: str
    model_created: str
    """When the registered model was made: another one that takes its name has no part in it."""
    version: str = ""
    """Empty: every version."""
    digest: str = ""
    """Of that version's file."""
    until: UtcTime
    owner: str
    """Who answers for the exception's end: that the rule is kept by then."""
    reason: str
    granted_by: str
    granted_at: UtcTime
    ended_at: UtcTime | None = None
    """When it was revoked, replaced by a newer one, or went with its model or version."""
    ended_by: str = ""

    def state(self, now: datetime) -> Literal["active", "expired", "ended"]:
        """What it is at a moment of business time."""
        if self.ended_at is not None:
            return "ended"
        return "active" if now < self.until else "expired"


class Standing(Spec):
    """A version, or a model as a whole, that is on its way out or gone."""

    id: str
    """Of the decision."""
    state: Literal["deprecated", "retired"]
    model: str
    model_created: str
    """When the registered model was made: another one that takes its name starts anew."""
    version: str = ""
    """Empty: the model as a whole."""
    since: UtcTime
    """Business time of the first such decision."""
    sunset: UtcTime | None = None
    """Business time from which on it may be retired."""
    reason: str = ""
    by: str


class Notice(Spec):
    """What callers of something deprecated are told; both on the business clock."""

    since: UtcTime
    sunset: UtcTime


class Decision(Spec):
    """What an engine answered. Deny by default."""

    allow: bool
    reasons: tuple[Reason, ...]
    obligations: tuple[str, ...] = ()
    engine: str
    """`embedded regopy 1.5.2` or `opa 1.x at URL`."""
    bundle_digest: str
    exceptions: tuple[ExceptionUse, ...] = Field(default=(), exclude_if=lambda used: not used)
    """Those it rests on; left out of the JSON when there are none, so that older records keep their hashes."""


class PolicyEngine(Protocol):
    """Whatever evaluates rules. Never raises for a failing engine: it denies and says why."""

    def decide(self, query: Query) -> Decision:
        """Decide one query."""
        ...


class DecisionRecord(Spec):
    """One link of the hash chain that control keeps. `hash` covers every other field."""

    format: Literal["archlab/decision/v1"] = "archlab/decision/v1"
    sequence: int
    id: str
    wall_time: UtcTime
    business_time: UtcTime
    query: Query
    query_sha256: Sha256
    decision: Decision
    previous: Sha256
    hash: Sha256
