"""Callers go only where the decision log lets them: a plan's shares are held against the canaries' decisions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from archlab.control import decisions
from archlab.policy import traffic
from archlab.spec.plan import Plan

CHALLENGER = "promotion/challenger"


def beyond(db: sqlite3.Connection, plan: Plan, model: str, version: str, digest: str) -> str:
    """Why a plan's share for a version is more than was decided for its file; empty when it isn't."""
    sent = traffic.routed(plan, model).get(version, 0)
    if not sent:
        return ""
    allowed = traffic.permitted(decisions.shares(db, model), version, digest)
    if sent <= allowed:
        return ""
    return (
        f"the plan sends {sent} % of the callers of {model} to version {version}; the decision log allows {allowed} %"
    )


def faults(db: sqlite3.Connection, plan: Plan) -> Iterator[str]:
    """Every share of a plan that goes beyond what was decided."""
    for route in plan.routes:
        champion = next((t.version for t in decisions.tenures(db, route.model) if t.until is None), "")
        for version in traffic.routed(plan, route.model).keys() - {champion}:
            let_through = decisions.allowed(db, CHALLENGER, route.model, version)
            digest = let_through.query.resource.digest if let_through else ""
            if found := beyond(db, plan, route.model, version, digest):
                yield found
