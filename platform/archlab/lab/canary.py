"""A challenger's share of the callers: asked of the gate before it is routed, given back after it is not."""

from __future__ import annotations

from collections.abc import Mapping

from archlab.errors import ArchlabError, NotFoundError
from archlab.lab.lab import Lab
from archlab.policy.traffic import permitted, routed
from archlab.registry.canary import TAG
from archlab.registry.evidence import SHA256
from archlab.spec.plan import Plan
from archlab.spec.scenario import Overrides
from archlab.spec.traffic import Traffic


def ask(lab: Lab, model: str, version: str, percent: int, *, user: str | None = None) -> None:
    """Let a version answer that share of the callers; the gate decides.

    Raises:
        RefusedError: a rule said no; the message carries every reason.
    """
    body = {"name": model, "version": version, "key": TAG, "value": str(percent)}
    lab.registry(user).post("/model-versions/set-tag", body)


def give_back(lab: Lab, before: Plan, after: Plan, *, user: str | None = None) -> list[str]:
    """Put on record that versions get fewer callers by now; what could not be, with the reason.

    Callers are taken back whether or not registry and control answer: a share that is left on record is asked for
    anew before anybody is sent there.
    """
    left: list[str] = []
    for route in before.routes:
        now = routed(after, route.model)
        for version, percent in routed(before, route.model).items():
            if now.get(version, 0) < percent:
                try:
                    ask(lab, route.model, version, now.get(version, 0), user=user)
                except NotFoundError:
                    continue
                except ArchlabError as error:
                    left.append(f"{route.model} version {version}: {error.message}")
    return left


def shares(lab: Lab, wanted: Overrides, challengers: Mapping[str, str]) -> dict[str, int]:
    """Percent of the callers that each challenger may answer, of models that are to have a canary."""
    found: dict[str, int] = {}
    for model, change in wanted.models.items():
        if change.canary_percent and (version := challengers.get(model)):
            known = Traffic.model_validate(lab.control.get(f"/traffic?model={model}"))
            found[model] = permitted(known.shares, version, _digest(lab, model, version))
    return found


def _digest(lab: Lab, model: str, version: str) -> str:
    found = lab.registry().get(f"/model-versions/get?name={model}&version={version}")["model_version"]
    return next((tag["value"] for tag in found.get("tags", []) if tag["key"] == SHA256), "")
