"""Taking a version out of traffic: first the gateway's weights, then everything else."""

from __future__ import annotations

from dataclasses import dataclass

from archlab.errors import NotFoundError
from archlab.lab.changes import change_model, follow_aliases
from archlab.lab.lab import Lab
from archlab.lab.promotion import await_served, champion, earlier_champion, promote
from archlab.spec.plan import Progress, Route
from archlab.spec.scenario import ModelOverride

NO_SHARES = ModelOverride(canary_percent=0, shadow_percent=0)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a rollback did."""

    version: str
    """Gets no more requests."""
    by: str
    """Answers instead."""
    was: str
    """`canary` or `champion`."""
    followed: bool = True
    """Whether every replica answers without the withdrawn version by now."""


def rollback(lab: Lab, model: str, progress: Progress) -> Withdrawn:
    """Undo the newest thing in a model's traffic: its canary while there is one, otherwise the last promotion.

    Raises:
        NotFoundError: no such model, or neither a canary nor an earlier champion.
        RefusedError: the gate does not let the earlier champion back; the message carries every reason.
    """
    canary, now = _canary(lab, model), champion(lab, model)
    if canary and canary != now:
        change_model(lab, model, ModelOverride(canary_percent=0), progress)
        return Withdrawn(canary, now or "", "canary")
    earlier = earlier_champion(lab, model)
    if canary or _mirrored(lab, model) == now:
        change_model(lab, model, NO_SHARES, progress)
    promote(lab, model, earlier)
    follow_aliases(lab, model, progress)
    return Withdrawn(now or "", earlier, "champion", followed=await_served(lab, model, earlier))


def _canary(lab: Lab, model: str) -> str:
    """Version that a share of the callers is sent to; empty when there is none."""
    return next((b.version for b in _route(lab, model).backends if b.version and b.weight), "")


def _mirrored(lab: Lab, model: str) -> str:
    shadow = _route(lab, model).shadow
    return shadow.version if shadow else ""


def _route(lab: Lab, model: str) -> Route:
    for route in lab.plan.routes:
        if route.model == model:
            return route
    raise NotFoundError(f"There is no model {model!r} in this lab.", "See: archlab models")
