"""Exceptions from rules: granted by plain registry calls, so the gate decides; listed as the decision log has them."""

from __future__ import annotations

import json
from datetime import datetime

from archlab.lab.lab import Lab
from archlab.lab.work import clock
from archlab.policy.exceptions import newest_first
from archlab.registry.exceptions import PREFIX
from archlab.spec.policy import ExceptionUse, PolicyException


def grant(
    lab: Lab,
    rule: str,
    model: str,
    *,
    version: str | None,
    until: str,
    reason: str,
    owner: str | None,
    user: str | None,
) -> PolicyException:
    """Waive a rule for a model, or for one version of it; the exception as it is on record.

    Args:
        lab: of the model.
        rule: `AREA/RULE`.
        model: its name.
        version: None for every version.
        until: a date, counted to its end in UTC, or a time as ISO 8601; business time.
        reason: why.
        owner: who answers for its end; None for whoever grants it.
        user: who grants it; None for the scenario's approver.

    Raises:
        RefusedError: a rule said no; the message carries every reason.
    """
    name = user or lab.declared.approver
    value = json.dumps({"until": until, "owner": owner or name, "reason": reason}, ensure_ascii=False)
    path, body = _tag(rule, model, version)
    lab.registry(name).post(f"{path}/set-tag", {**body, "value": value})
    granted, _ = listed(lab, model)
    return next(one for one in granted if (one.rule, one.version) == (rule, body.get("version", "")))


def revoke(lab: Lab, rule: str, model: str, *, version: str | None, user: str | None) -> str:
    """End an exception now; returns in whose name.

    Raises:
        NotFoundError: there is none.
        RefusedError: a rule said no; the message carries every reason.
    """
    name = user or lab.declared.approver
    path, body = _tag(rule, model, version)
    lab.registry(name).request("DELETE", f"{path}/delete-tag", body)
    return name


def listed(lab: Lab, model: str | None = None) -> tuple[list[PolicyException], datetime]:
    """Every exception on record, those in force first, of one model or of all; and business time."""
    now = clock(lab)
    found = [PolicyException.model_validate(one) for one in lab.control.get("/exceptions")]
    return newest_first([one for one in found if model in (None, one.model)], now), now


def used_by(lab: Lab, model: str, version: str, alias: str) -> tuple[ExceptionUse, ...]:
    """Exceptions that the newest promotion of a version to an alias rests on."""
    for record in reversed(lab.control.get("/decisions")):
        query = record["query"]
        about = (query["action"], query["resource"]["name"], query["resource"]["version"])
        if about == (f"promotion/{alias}", model, version) and record["decision"]["allow"]:
            return tuple(ExceptionUse.model_validate(use) for use in record["decision"].get("exceptions", ()))
    return ()


def _tag(rule: str, model: str, version: str | None) -> tuple[str, dict[str, str]]:
    key = {"name": model, "key": f"{PREFIX}{rule}"}
    return ("/model-versions", {**key, "version": version}) if version else ("/registered-models", key)
