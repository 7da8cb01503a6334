"""Requests of the business day by team, and teams that have asked as often as they may."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import datetime, timedelta

from archlab.control.times import to_us
from archlab.plan import quotas
from archlab.spec.scenario import Scenario
from archlab.spec.tenancy import Scarce

DAY = timedelta(days=1)


def requests_today(db: sqlite3.Connection, scenario: Scenario, now: datetime) -> dict[str, int]:
    """Requests of the business (replayed ones times what each stands for) since the business day began, by team.

    Teams with models that nobody asked have 0.
    """
    began = scenario.starts + (now - scenario.starts) // DAY * DAY
    models = {m.name: m for m in scenario.models}
    marks = ", ".join("?" * len(models))
    # by model, as the index is: a tick counts the answers of its day, not all that there ever were
    rows = db.execute(
        f"SELECT model, COUNT(*) AS asked FROM answers WHERE model IN ({marks})"  # noqa: S608
        " AND asked_us > ? AND asked_us <= ? AND status != 429 GROUP BY model",
        (*models, to_us(began), to_us(now)),
    )
    found = Counter({m.team: 0 for m in scenario.models})
    for row in rows:
        found[models[row["model"]].team] += row["asked"] * models[row["model"]].caller.represents
    return dict(found)


def closed(scenario: Scenario, used: dict[str, int]) -> dict[str, str]:
    """Teams whose callers get no answer until the next business day, and what they are told."""
    return {
        s.team: (
            f"team {s.team} has asked {s.used:,} times today, its quota is {s.limit:,}; an operator can raise it:"
            f" archlab quota set {s.team} requests N"
        )
        for s in quotas.standings(scenario, Scarce.REQUESTS, used)
        if s.used >= s.limit + s.lendable + s.borrowed
    }
