"""Approving, promoting and rolling back a version: plain registry calls, so the gate decides as for any client."""

from __future__ import annotations

from typing import Any

from archlab.errors import NotFoundError, UserError
from archlab.lab.lab import Lab

CHAMPION, CHALLENGER = "champion", "challenger"
APPROVED_BY = "archlab.approved_by"


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


def champion(lab: Lab, model: str) -> str | None:
    """Version under alias `champion`, None when there is none."""
    try:
        found = lab.registry().get(f"/registered-models/alias?name={model}&alias={CHAMPION}")
    except (NotFoundError, UserError):
        return None
    return str(found["model_version"]["version"])


def rollback(lab: Lab, model: str) -> tuple[str | None, str]:
    """Point `champion` at the version that held it before the present one; returns (from, to).

    Raises:
        NotFoundError: no earlier champion is on record.
    """
    now = champion(lab, model)
    for record in reversed(lab.control.get("/decisions")):
        query = record["query"]
        earlier = query["resource"]["version"]
        promoted = query["action"].startswith("promotion/") and record["decision"]["allow"]
        if (
            promoted
            and query["resource"]["name"] == model
            and query["action"] != "promotion/challenger"
            and earlier != now
        ):
            promote(lab, model, earlier)
            return now, earlier
    raise NotFoundError(f"{model} has no earlier champion to go back to.", f"See: archlab models show {model}")
