"""Where teams stand against their budgets, and what a cron job is told."""

from __future__ import annotations

from typing import Any

import pytest

from archlab.cli.budget import OVER, WARNED, Standing, exit_code, judged

NANO = 10**9


def row(planned: int, spent: int, budget: int | None) -> dict[str, Any]:
    return {
        "team": "operations",
        "planned_nanousd_per_30_days": planned * NANO,
        "spent_nanousd_last_30_days": spent * NANO,
        "budget_nanousd_per_30_days": None if budget is None else budget * NANO,
    }


@pytest.mark.parametrize(
    ("planned", "spent", "budget", "standing", "percent"),
    [
        (79, 10, 100, Standing.WITHIN, 79),
        (10, 79, 100, Standing.WITHIN, 79),
        (80, 0, 100, Standing.WARNING, 80),
        (0, 100, 100, Standing.WARNING, 100),
        (101, 0, 100, Standing.OVER, 101),
        (0, 101, 100, Standing.OVER, 101),
        (10**6, 10**6, None, Standing.UNSET, None),
    ],
)
def test_the_dearer_of_plan_and_bill_counts(
    planned: int, spent: int, budget: int | None, standing: Standing, percent: int | None
) -> None:
    found = judged(row(planned, spent, budget), warn=80)
    assert (found["standing"], found["percent"]) == (standing, percent)


@pytest.mark.parametrize(
    ("standings", "code"),
    [
        ([], 0),
        ([Standing.WITHIN, Standing.UNSET], 0),
        ([Standing.WITHIN, Standing.WARNING], WARNED),
        ([Standing.OVER, Standing.WARNING], OVER),
    ],
)
def test_the_worst_standing_is_the_exit_code(standings: list[Standing], code: int) -> None:
    assert exit_code(standings) == code
