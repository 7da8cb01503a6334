"""What a team's models cost: as they are planned for the next 30 days, and what was billed in the last 30."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from typing import Any

from archlab.control.times import to_us
from archlab.errors import ArchlabError
from archlab.ledger.lines import lines
from archlab.spec.base import NanoUsd
from archlab.spec.money import Basis, Resource, Usage, UsageKind
from archlab.spec.plan import Plan
from archlab.spec.scenario import Mode, Scenario
from archlab.world.metering import Interval, reserved

WINDOW = timedelta(days=30)


def of_team(db: sqlite3.Connection, scenario: Scenario, plan: Plan, team: str, now: datetime) -> dict[str, Any]:
    """Planned and billed cost of a team's models at a moment of business time; integers of nano-dollars.

    Raises:
        ArchlabError: the price book has no price for what is reserved.
    """
    try:
        ahead = planned(scenario, plan, team, now)
    except LookupError as error:
        raise ArchlabError(f"The plan can't be priced: {error}.", "Add the price to the scenario.") from None
    return {
        "team": team,
        "planned_nanousd_per_30_days": ahead,
        "spent_nanousd_last_30_days": spent(db, team, now),
    }


def planned(scenario: Scenario, plan: Plan, team: str, now: datetime) -> NanoUsd:
    """Replicas, devices and batch runs of 30 days from now on, by the prices of now. Pure.

    Look-ups and materialisation are left out: nobody reserves them.
    """
    month = Interval(now, now + WINDOW)
    usages = [*reserved(month, plan), *_batch(scenario, month)]
    return sum(line.cost_nanousd for line in lines((u for u in usages if u.team == team), scenario.prices))


def spent(db: sqlite3.Connection, team: str, now: datetime) -> NanoUsd:
    """What was billed to a team for the 30 days before now."""
    row = db.execute(
        "SELECT COALESCE(SUM(cost_nanousd), 0) AS total FROM lines WHERE team = ? AND start_us >= ? AND start_us < ?",
        (team, to_us(now - WINDOW), to_us(now)),
    ).fetchone()
    return int(row["total"])


def _batch(scenario: Scenario, month: Interval) -> list[Usage]:
    return [
        Usage(
            id=f"planned/{model.name}",
            start=month.start,
            end=month.end,
            team=model.team,
            model=model.name,
            mode=Mode.BATCH.value,
            unit="batch",
            resource=Resource.BATCH_CPU,
            kind=UsageKind.CONSUMED,
            quantity=(WINDOW // model.batch_every) * model.batch_cpu_millicore_seconds,
            basis=Basis.MODELLED,
        )
        for model in scenario.models
        if model.mode is Mode.BATCH
    ]
