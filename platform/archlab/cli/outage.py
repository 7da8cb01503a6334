"""`archlab outage`: stop a unit of the control plane for a while and see what goes on."""

from __future__ import annotations

from typing import Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(outage)


def outage(
    unit: Annotated[str, typer.Argument(help="control or registry.")],
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop control or the registry for real, try what needs it, bring it back; the clock moves on by a tick or two."""
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab
    from archlab.lab.outage import outage as stop

    found = open_lab(lab)
    with Steps(f"Without {unit}") as steps:
        seen = stop(found, unit, steps)
    if as_json:
        emit_json(seen.model_dump(mode="json"))
        return
    rows = [(p.key, f"{p.succeeded} of {p.tried}", p.detail) for p in seen.probes]
    lasted = (seen.ended - seen.began).total_seconds()
    console.print(
        table(
            f"{unit} was down for {lasted:.0f} s", ("tried", "worked", "what was seen"), rows, wrap=("what was seen",)
        )
    )
