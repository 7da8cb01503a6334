"""Approving and promoting a version: plain registry calls, so the gate decides as for any client."""

from __future__ import annotations

import time
from typing import Any

from archlab.errors import NotFoundError, UnavailableError, UserError
from archlab.lab.lab import Lab
from archlab.spec.scenario import Mode
from archlab.spec.traffic import Traffic

CHAMPION, CHALLENGER = "champion", "challenger"
APPROVED_BY = "archlab.approved_by"
FOLLOWED_WITHIN_S = 5.0
_PAUSE_S = 0.02


def approve(lab: Lab, model: str, version: str, *, user: str | None = None) -> str:
    """Record an approval in the approver's own name; returns that name."""
    name = user or lab.declared.approver
    body = {"name": model, "version": version, "key": APPROVED_BY, "value": name}
    lab.registry(name).post("/model-versions/set-tag", body)
    return name


def promote(lab: Lab, model: str, version: str, *, alias: str = CHAMPION, user: str | None = None) -> dict[str, Any]:
    """Set the alias; the gate decides.

    Raises:
        RefusedError: a rule said no; the message carries every reason.
    """
    lab.registry(user).post("/registered-models/alias", {"name": model, "alias": alias, "version": version})
    answer: dict[str, Any] = lab.control.post("/releases/reconcile", {})
    return answer


def await_served(lab: Lab, model: str, version: str) -> bool:
    """Wait until every replica answers with a new champion; whether they do within FOLLOWED_WITHIN_S.

    Servers follow the feed by themselves. A model answered from tables keeps its table until the next batch run, and
    one that the scenario does not declare is not served.
    """
    declared = next((m for m in lab.scenario.models if m.name == model), None)
    if declared is None or declared.mode is Mode.BATCH:
        return True
    right = {version} | next(route.versions for route in lab.plan.routes if route.model == model)
    deadline, in_a_row = time.monotonic() + FOLLOWED_WITHIN_S, 0
    while in_a_row < 2 * declared.replicas:
        if _answering(lab, model) in right:
            in_a_row += 1
            continue
        in_a_row = 0
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True


def _answering(lab: Lab, model: str) -> str:
    """Version that the next replica answers with; empty when it has none."""
    try:
        return str(lab.client().get(f"/v2/models/{model}")["parameters"]["version"])
    except (NotFoundError, UnavailableError):
        return ""


def champion(lab: Lab, model: str) -> str | None:
    """Version under alias `champion`, None when there is none."""
    try:
        found = lab.registry().get(f"/registered-models/alias?name={model}&alias={CHAMPION}")
    except (NotFoundError, UserError):
        return None
    return str(found["model_version"]["version"])


def earlier_champion(lab: Lab, model: str) -> str:
    """The version that was champion before the present one was first promoted.

    Raises:
        NotFoundError: none is on record.
    """
    known = Traffic.model_validate(lab.control.get(f"/traffic?model={model}")).tenures
    earlier = [tenure.version for tenure in known if tenure.until and not tenure.withdrawn]
    if not earlier:
        raise NotFoundError(f"{model} has no earlier champion to go back to.", f"See: archlab models show {model}")
    return earlier[-1]
