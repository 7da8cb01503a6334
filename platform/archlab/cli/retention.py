"""`archlab retention`: what has to be deleted by now, and its deletion."""

from __future__ import annotations

from dataclasses import asdict

import typer

from archlab.cli.console import AsOption, JsonOption, LabOption, console, emit_json, table


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="What has to be deleted by now, and its deletion.", no_args_is_help=True)
    for command in (due, apply):
        group.command()(command)
    app.add_typer(group, name="retention")


def due(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Retired versions that the rules don't let the lab keep any longer; nothing is deleted."""
    from archlab.lab import open_lab
    from archlab.lab.retention import due as overdue

    found = overdue(open_lab(lab))
    if as_json:
        emit_json([asdict(one) for one in found])
        return
    if not found:
        console.print("Nothing has to be deleted.")
        return
    rows = [(one.model, one.version, one.sha256[:12], "; ".join(one.because)) for one in found]
    console.print(table("To be deleted", ("model", "version", "file", "because"), rows, wrap=("because",)))


def apply(
    lab: LabOption = None,
    user: AsOption = None,
) -> None:
    """Delete what has to go, and what deleted versions left behind; the gate decides each. Can be run again."""
    from archlab.errors import ArchlabError
    from archlab.lab import open_lab
    from archlab.lab.retention import delete, sweep
    from archlab.lab.retention import due as overdue

    opened = open_lab(lab)
    left: list[str] = []
    for one in overdue(opened):
        try:
            delete(opened, one, user=user)
            console.print(f"{one.model} version {one.version} is deleted.")
        except ArchlabError as error:
            left.append(f"{one.model} version {one.version}: {error.message}")
    if left := [*left, *sweep(opened, user=user)]:
        raise ArchlabError("Not all of it could go: " + "; ".join(left), "Mend that, and run it again.")
    console.print("Nothing is left behind. The evidence: archlab audit evidence deletion --out FOLDER")
