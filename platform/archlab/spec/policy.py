"""A policy decision: what is asked, what comes back, what is kept."""

from __future__ import annotations

from typing import Any, Literal, Protocol

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


class Decision(Spec):
    """What an engine answered. Deny by default."""

    allow: bool
    reasons: tuple[Reason, ...]
    obligations: tuple[str, ...] = ()
    engine: str
    """`embedded regopy 1.5.2` or `opa 1.x at URL`."""
    bundle_digest: str


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
