"""`archlab doctor`: is this machine fit, and what to do where it is not."""

from __future__ import annotations

from typing import Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    lab: LabOption = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure this machine; loads are scaled to it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check Python, programs, ports, disk and memory; each finding comes with its remedy."""
    from archlab.lab.diagnosis import diagnose, measure

    findings = diagnose(lab)
    measured = measure() if calibrate else {}
    if as_json:
        emit_json({"findings": [f.__dict__ for f in findings], "calibration": measured})
    else:
        mark = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "fault": "[red]fault[/]"}
        rows = [(mark[f.level], f.name, f.found, f.remedy) for f in findings]
        console.print(table("Doctor", ("", "what", "found", "remedy"), rows, wrap=("found", "remedy")))
        for name, value in measured.items():
            console.print(f"{name}  {value:,.1f}")
    if any(f.level == "fault" for f in findings):
        raise typer.Exit(1)
