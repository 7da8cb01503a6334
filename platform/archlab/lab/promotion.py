"""Approving and promoting a version: plain registry calls, so the gate decides as for any client."""

from __future__ import annotations

from collections.abc import Iterable
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


def earlier_champion(lab: Lab, model: str) -> str:
    """The version that was champion before the present one was first promoted.

    Raises:
        NotFoundError: none is on record.
    """
    held = tenures(
        record["query"]["resource"]["version"]
        for record in lab.control.get("/decisions")
        if record["query"]["action"] == "promotion/champion"
        and record["query"]["resource"]["name"] == model
        and record["decision"]["allow"]
    )
    if len(held) < 2:
        raise NotFoundError(f"{model} has no earlier champion to go back to.", f"See: archlab models show {model}")
    return held[-2]


def tenures(promoted: Iterable[str]) -> list[str]:
    """Champions in the order of their first promotion, without those that a return to an earlier one undid. Pure."""
    held: list[str] = []
    for version in promoted:
        held = held[: held.index(version)] if version in held else held
        held.append(version)
    return held
