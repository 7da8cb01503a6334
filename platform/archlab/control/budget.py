"""What teams' models cost: as they are planned for the next 30 days, and what was billed in the last 30."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from archlab.control import corrections
from archlab.control.times import to_us
from archlab.spec.base import NANO_PER_USD, NanoUsd
from archlab.spec.money import LineKind
from archlab.spec.plan import Plan
from archlab.spec.scenario import Scenario
from archlab.world.commitment import WINDOW, planned


def of_teams(
    db: sqlite3.Connection, scenario: Scenario, plan: Plan, teams: Iterable[str], now: datetime
) -> list[dict[str, Any]]:
    """Planned and billed cost of teams' models at a moment of business time; integers of nano-dollars.

    Raises:
        ArchlabError: the price book has no price for what is reserved.
    """
    ahead, billed = planned(scenario, plan, now), spent(db, now)
    return [
        {
            "team": team,
            "planned_nanousd_per_30_days": ahead[team],
            "spent_nanousd_last_30_days": billed[team],
            "budget_nanousd_per_30_days": allowed(scenario, team),
        }
        for team in teams
    ]


def allowed(scenario: Scenario, team: str) -> NanoUsd | None:
    """A team's budget, None where the scenario declares none."""
    usd = next((t.budget_usd for t in scenario.teams if t.name == team), None)
    return None if usd is None else usd * NANO_PER_USD


def spent(db: sqlite3.Connection, now: datetime) -> Mapping[str, NanoUsd]:
    """What was billed to each team for the 30 days up to now, with what was corrected in them."""
    # what was booked since the last tick, corrections and training, stands at the clock's now
    low, high = to_us(now - WINDOW), to_us(now) + 1
    rows = db.execute(
        "SELECT team, SUM(cost_nanousd) FROM lines WHERE kind <> ? AND start_us >= ? AND start_us < ? GROUP BY team",
        (LineKind.UNALLOCATED, low, high),
    )
    found = Counter[str](dict(map(tuple, rows)))
    for line in (line for made in corrections.read(db, low, high) for line in made.lines):
        if line.kind is not LineKind.UNALLOCATED:
            found[line.team] += line.cost_nanousd
    return found
