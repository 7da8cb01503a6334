"""Sums of lines by what the reader asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from archlab.errors import UserError
from archlab.ledger.sharing import section
from archlab.spec.money import Line

DIMENSIONS = ("team", "model", "mode", "kind", "section", "resource", "purchase", "basis", "reason", "day")
"""What lines can be grouped by."""


def dimension(line: Line, name: str) -> str:
    """A line's value of one dimension, as text; the day, in UTC, is that of its start or, corrected, of its booking."""
    if name == "day":
        return line.accounted.date().isoformat()
    if name == "section":
        return section(line)
    return str(getattr(line, name))


def check(by: Sequence[str]) -> tuple[str, ...]:
    """The dimensions, once each.

    Raises:
        UserError: one of them does not exist.
    """
    for name in by:
        if name not in DIMENSIONS:
            raise UserError(f"Costs can't be grouped by {name!r}.", f"Use some of: {', '.join(DIMENSIONS)}.")
    return tuple(dict.fromkeys(by))


def group(lines: Iterable[Line], by: Sequence[str]) -> list[dict[str, Any]]:
    """One row per combination: the dimensions, `quantity` (only where one resource is summed) and `cost_nanousd`."""
    names = check(by)
    sums: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for line in lines:
        sums[tuple(dimension(line, name) for name in names)].append(line)
    return [_row(names, key, members) for key, members in sorted(sums.items())]


def daily(lines: Iterable[Line]) -> list[Line]:
    """Lines summed per day, team, model, mode, kind, resource, price, basis, purchase; `usage_id` names the day.

    What has a reason (an unallocated line, a correction) is summed only with lines of the same reason.
    """
    sums: dict[tuple[Any, ...], list[Line]] = defaultdict(list)
    for line in lines:
        what = (dimension(line, "day"), line.team, line.model, line.mode, line.kind, line.resource)
        bought = (line.purchase, line.commitment, line.reason, line.corrects)
        sums[(*what, line.unit_price_nanousd, line.unit_price_per, line.basis, *bought)].append(line)
    return [_summed(key[0], members) for key, members in sorted(sums.items())]


def _row(names: tuple[str, ...], key: tuple[str, ...], members: list[Line]) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(names, key, strict=True))
    if len({line.resource for line in members}) == 1:
        row["quantity"] = sum(line.quantity for line in members)
    return {**row, "cost_nanousd": sum(line.cost_nanousd for line in members)}


def _summed(day: str, members: list[Line]) -> Line:
    start = datetime.combine(datetime.fromisoformat(day).date(), time(), UTC)
    return members[0].model_copy(
        update={
            "usage_id": day,
            "start": start,
            "end": start + timedelta(days=1),
            "quantity": sum(line.quantity for line in members),
            "cost_nanousd": sum(line.cost_nanousd for line in members),
        }
    )
