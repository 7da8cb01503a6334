"""`archlab isolation`: what keeps teams from taking what others need, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table, usd

if TYPE_CHECKING:
    from archlab.spec.tenancy import Isolation


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="What keeps teams from taking what others need, and what it costs.", invoke_without_command=True
    )
    group.callback()(show)
    group.command("use")(use)
    app.add_typer(group, name="isolation")


def show(context: typer.Context, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Each team as it is kept apart now, and the capacity that each design would hold for 30 days."""
    if context.invoked_subcommand is not None:
        return
    from dataclasses import asdict

    from archlab.lab import isolation, open_lab
    from archlab.lab.work import clock
    from archlab.spec.tenancy import Isolation

    found = open_lab(lab)
    now = clock(found)
    states = isolation.states(found, now)
    teams = [state.team for state in states]
    designs = {
        kind: isolation.holdings(found, isolation.design(found.overrides, teams, kind), now) for kind in Isolation
    }
    if as_json:
        emit_json({"teams": [asdict(s) for s in states], "held_nanousd_per_30_days": designs})
        return
    rows = [(s.team, s.models, s.isolation.value, s.means, usd(s.held_nanousd), s.budget_usd or "") for s in states]
    columns = ("team", "online models", "isolation", "which is", "held", "budget")
    console.print(table("Teams, USD for 30 days", columns, rows, right=("online models", "held", "budget")))
    console.print()
    compared = [(team, *(usd(designs[kind][team]) for kind in Isolation)) for team in teams]
    total = ("all", *(usd(sum(designs[kind].values())) for kind in Isolation))
    titles = ("team", *(kind.value for kind in Isolation))
    console.print(table("Capacity held, with one design for all", titles, [*compared, total], right=titles[1:]))
    console.print("\n[dim]Held is paid for, asked or not. Change: archlab isolation use KIND --team TEAM[/]")


def use(
    kind: Annotated[
        str, typer.Argument(help="none, limit (gateway), share (places in the shared pool) or pool (own servers)")
    ],
    team: Annotated[
        list[str] | None, typer.Option("--team", "-t", help="Of whom; again for more. All with models by default.")
    ] = None,
    rate: Annotated[int | None, typer.Option(min=1, help="For limit: requests a second at the gateway.")] = None,
    weight: Annotated[int | None, typer.Option(min=1, max=100, help="For share: its weight in the pool.")] = None,
    lab: LabOption = None,
) -> None:
    """Choose what keeps teams apart; takes effect without a failed request and survives a second `up`."""
    from archlab.cli.progress import Steps
    from archlab.lab import isolation, open_lab
    from archlab.lab.changes import change_teams
    from archlab.lab.lock import exclusive
    from archlab.spec.scenario import TeamOverride

    found = open_lab(lab)
    wanted = TeamOverride(isolation=kind_named(kind), requests_per_second=rate, weight=weight)
    teams = team or list(isolation.asking(found.declared))
    with exclusive(found.folder, f"isolation use {kind}"), Steps(f"Isolation {kind}") as steps:
        changed = change_teams(found, dict.fromkeys(teams, wanted), steps)
    for line in changed or ("nothing to change",):
        console.print(line, soft_wrap=True)


def kind_named(text: str) -> Isolation:
    """The isolation of that name.

    Raises:
        UserError: there is none.
    """
    from archlab.errors import UserError
    from archlab.spec.tenancy import Isolation

    if text not in list(Isolation):
        raise UserError(f"There is no isolation {text!r}.", f"Known: {', '.join(Isolation)}.")
    return Isolation(text)
