"""`archlab quota`: what each team may take, what it takes, and who can change that."""

from __future__ import annotations

from typing import Annotated

import typer

from archlab.cli.console import AsOption, JsonOption, LabOption, console, emit_json, table


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="What each team may take, and takes.", invoke_without_command=True)
    group.callback()(show)
    group.command("set")(set_limit)
    group.command()(borrow)
    app.add_typer(group, name="quota")


def show(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 when one is used up.")] = False,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Used, limit and borrowed, by team."""
    if context.invoked_subcommand is not None:
        return
    from archlab.lab import open_lab, quotas

    found = open_lab(lab)
    standings, borrowing = quotas.standings(found), found.scenario.borrow_quotas
    if as_json:
        states = [{**s.model_dump(mode="json"), "over": s.over, "near": s.near} for s in standings]
        emit_json({"borrowing": borrowing, "quotas": states})
    else:
        rows = [
            (s.team, s.what.value, f"{s.used:,}", f"{s.limit:,}", s.borrowed or "", _state(s.over, s.near, s.borrowed))
            for s in sorted(standings, key=lambda s: (s.team, s.what))
        ]
        columns = ("team", "quota", "used", "limit", "borrowed", "state")
        console.print(table("Quotas: memory in MiB, budget in USD for 30 days", columns, rows, right=columns[2:5]))
        console.print(f"\nBorrowing of what others leave is {'on' if borrowing else 'off'}; money is never borrowed.")
    if check and any(s.over for s in standings):
        raise typer.Exit(1)


def set_limit(
    team: str,
    what: Annotated[str, typer.Argument(help="devices, memory (MiB), requests (per business day), budget (USD)")],
    value: Annotated[int, typer.Argument(min=0)],
    lab: LabOption = None,
    user: AsOption = None,
) -> None:
    """Change a limit; the rules say who may, and the decision is logged."""
    from archlab.errors import UserError
    from archlab.lab import open_lab, quotas
    from archlab.lab.lock import exclusive
    from archlab.spec.tenancy import Scarce

    if what not in list(Scarce):
        raise UserError(f"There is no quota {what!r}.", f"Known: {', '.join(Scarce)}.")
    found = open_lab(lab)
    with exclusive(found.folder, f"quota set {team} {what}"):
        quotas.set_limit(found, team, Scarce(what), value, user=user)
    console.print(f"{team}: {what} {value:,}")


def borrow(
    switch: Annotated[str, typer.Argument(help="on or off")], lab: LabOption = None, user: AsOption = None
) -> None:
    """Let teams take of a quota what others leave of theirs, or not any longer."""
    from archlab.errors import UserError
    from archlab.lab import open_lab, quotas
    from archlab.lab.lock import exclusive

    if switch not in ("on", "off"):
        raise UserError(f"Borrowing can't be {switch!r}.", "Write on or off.")
    found = open_lab(lab)
    with exclusive(found.folder, f"quota borrow {switch}"):
        quotas.set_borrowing(found, switch == "on", user=user)
    console.print(f"Borrowing is {switch}.")


def _state(over: bool, near: bool, borrowed: int) -> str:
    if over:
        return "[red]used up[/]"
    return "[yellow]borrows[/]" if borrowed else "[yellow]nearly used up[/]" if near else "[green]within[/]"
