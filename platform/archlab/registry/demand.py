"""One query that a call needs an answer to, and what a call's kind and body say by themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archlab.errors import UserError
from archlab.policy.traffic import REMOVE_CHAMPION
from archlab.registry import canary as cn
from archlab.registry import evidence as ev
from archlab.registry import exceptions as ex
from archlab.registry import lifecycle as lc
from archlab.registry.calls import Kind
from archlab.spec.policy import PolicyResource

CHAMPION, CHALLENGER = "champion", "challenger"
WRITE, OTHER = "access/write", "access/other"
PROMOTIONS = {CHAMPION: "promotion/champion", CHALLENGER: "promotion/challenger"}

TAGGING = frozenset({Kind.TAG_MODEL, Kind.UNTAG_MODEL, Kind.TAG_VERSION, Kind.UNTAG_VERSION})

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Demand:
    """One query to put to the rules."""

    action: str
    resource: PolicyResource
    evidence: dict[str, Any] = field(default_factory=dict)
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """Further actions whose decision on the same evidence becomes part of it, by the field's name."""

    @property
    def is_promotion(self) -> bool:
        """Whether it is about what callers are answered by."""
        return self.action.startswith("promotion/")

    @property
    def is_recorded(self) -> bool:
        """Whether the decision must be on record before it takes effect, whichever way it goes."""
        areas = ("promotion/", "retention/", "exception/", "lifecycle/", "deployment/")
        return self.action == REMOVE_CHAMPION or self.action.startswith(areas)


def text(body: Body, name: str, *others: str) -> str:
    """A text field of a request.

    Raises:
        UserError: it is absent or not text.
    """
    for key in (name, *others):
        if isinstance(found := body.get(key), str) and found:
            return found
    raise UserError(f"The request has no text in its field {name!r}.")


def tags_of(body: Body) -> list[dict[str, Any]]:
    """The tags that come with a creation.

    Raises:
        UserError: they are not as MLflow takes them.
    """
    tags = body.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, dict) for tag in tags):
        raise UserError("The request's field 'tags' is not a list of {key, value}.")
    return tags


def promoted_to(kind: Kind, body: Body) -> str:
    """The alias that a call would move, in lower case; stage Production counts as `champion`; empty for none."""
    if kind is Kind.SET_ALIAS:
        return text(body, "alias").lower()
    if kind is Kind.TRANSITION and text(body, "stage").strip().lower() == "production":
        return CHAMPION
    return ""


def asks_log(kind: Kind, body: Body) -> bool:
    """Whether what the decision log says of the model has a say in a call."""
    moves = promoted_to(kind, body) in PROMOTIONS or cn.is_canary(kind, body)
    return moves or lc.action_of(kind, body) is not None


def asks_cost(kind: Kind, body: Body) -> bool:
    """Whether what the owning team spends has a say in a call."""
    return promoted_to(kind, body) == CHAMPION or cn.is_canary(kind, body)


def needs_time(kind: Kind, body: Body) -> bool:
    """Whether what becomes of a call depends on business time."""
    key = str(body.get("key"))
    approves = kind is Kind.TAG_VERSION and key == ev.APPROVED_BY
    if lc.action_of(kind, body) or cn.is_canary(kind, body) or (kind in TAGGING and ex.rule_of(key) is not None):
        return True
    ends = kind is Kind.DELETE_ALIAS and text(body, "alias").lower() == CHAMPION
    return approves or ends or kind in (Kind.DELETE_VERSION, Kind.DELETE_MODEL) or promoted_to(kind, body) in PROMOTIONS
