"""`archlab budget status`: teams against their budgets, with exit codes for cron and CI."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table, usd

WARNED, OVER = 4, 5
"""Exit codes beside 0: somebody is close to a budget; somebody is over one."""


class Standing(StrEnum):
    """Where a team stands."""

    WITHIN = "within"
    WARNING = "warning"
    OVER = "over"
    UNSET = "no budget"


_STYLES = {Standing.WITHIN: "green", Standing.WARNING: "yellow", Standing.OVER: "bold red", Standing.UNSET: "dim"}


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Budgets of teams, for 30 days of the business clock.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(status)
    app.add_typer(group, name="budget")


def status(
    lab: LabOption = None,
    team: Annotated[str | None, typer.Option(help="Only this team.")] = None,
    warn: Annotated[int, typer.Option(min=1, max=100, help="Percent of a budget from which on it warns.")] = 80,
    as_json: JsonOption = False,
) -> None:
    """What is planned and what was billed against each budget. Exit code 0: within; 4: a warning; 5: over."""
    from archlab.lab import open_lab

    opened = open_lab(lab)
    known = [each.name for each in opened.declared.teams]
    if team is not None and team not in known:
        from archlab.errors import NotFoundError

        raise NotFoundError(f"There is no team {team!r}.", f"Teams: {', '.join(known)}.")
    found = [judged(row, warn) for row in opened.control.get("/budgets") if team in (None, row["team"])]
    if as_json:
        emit_json(found)
    else:
        _print(found)
    raise typer.Exit(exit_code(Standing(row["standing"]) for row in found))


def judged(row: dict[str, Any], warn: int) -> dict[str, Any]:
    """A team's row of `GET /budgets`, with where it stands: by the dearer of what is planned and what was billed."""
    budget = row["budget_nanousd_per_30_days"]
    dearer = max(row["planned_nanousd_per_30_days"], row["spent_nanousd_last_30_days"])
    if budget is None:
        return {**row, "percent": None, "standing": Standing.UNSET}
    standing = Standing.OVER if dearer > budget else Standing.WITHIN
    if standing is Standing.WITHIN and dearer * 100 >= warn * budget:
        standing = Standing.WARNING
    return {**row, "percent": dearer * 100 // budget, "standing": standing}


def exit_code(standings: Iterable[Standing]) -> int:
    """Of a command that saw these."""
    found = set(standings)
    return OVER if Standing.OVER in found else WARNED if Standing.WARNING in found else 0


def _print(found: list[dict[str, Any]]) -> None:
    rows = [
        (
            row["team"],
            usd(row["planned_nanousd_per_30_days"]),
            usd(row["spent_nanousd_last_30_days"]),
            "" if row["percent"] is None else usd(row["budget_nanousd_per_30_days"]),
            "" if row["percent"] is None else f"{row['percent']} %",
            f"[{_STYLES[row['standing']]}]{row['standing']}[/]",
        )
        for row in found
    ]
    columns = ("team", "planned", "billed", "budget", "taken", "")
    console.print(table("Budgets, USD for 30 days", columns, rows, right=columns[1:5]))
    console.print("[dim]Planned: the next 30 days as things stand. Billed: the last 30. The dearer one counts.[/]")
