"""`archlab clock`: the airline's time."""

from __future__ import annotations

from typing import Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="The airline's time.", no_args_is_help=True)
    group.command("show")(show)
    group.command("advance")(advance)
    app.add_typer(group, name="clock")


def show(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """What time it is for the airline."""
    from archlab.lab import open_lab

    state = open_lab(lab).control.get("/clock")
    if as_json:
        emit_json(state)
        return
    console.print(f"{state['now']}  (started {state['started']})")
    if state.get("advancing"):
        console.print(f"advancing to {state['advancing']['until']} (pid {state['advancing']['pid']})")


def advance(
    by: Annotated[str, typer.Argument(help="How far: 30m, 6h, 1d, 1w.")],
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay what happened: flights, weather, callers, batch jobs, labels, the bill. ^C stops between ticks."""
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab
    from archlab.lab.clock import advance as move
    from archlab.lab.clock import parse_span

    found = open_lab(lab)
    span = parse_span(by)
    with Steps("Replaying") as steps:
        result = move(found, span, steps)
    if as_json:
        emit_json(result)
        return
    console.print(
        f"It is now {result['now']}; {result.get('requests', 0):,} requests replayed in {steps.seconds:.1f} s."
    )
    console.print("[dim]archlab score shows what the design earned.[/]")
