"""`archlab batch`: runs of the batch models."""

from __future__ import annotations

import typer

from archlab.cli.console import AsOption, JsonOption, LabOption, console, emit_json, table


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Runs that compute answers beforehand.", no_args_is_help=True)
    group.command("run")(run)
    group.command("list")(list_runs)
    app.add_typer(group, name="batch")


def run(model: str, lab: LabOption = None, user: AsOption = None) -> None:
    """Run one model over what lies ahead, now on the business clock, and publish its answers.

    It costs its team something beside the runs that fall due: one that is over its budget is refused.
    """
    from archlab.cli.progress import Steps
    from archlab.errors import NotFoundError
    from archlab.lab import open_lab, quotas
    from archlab.lab.work import run_batch

    found = open_lab(lab)
    known = [m.name for m in found.declared.models]
    if model not in known:
        raise NotFoundError(f"There is no model {model!r} in this lab.", f"Models: {', '.join(known)}.")
    for said in quotas.check_run(found, model, user=user):
        console.print(f"warning: {said}", soft_wrap=True)
    with Steps(f"Running {model}") as steps:
        recorded = run_batch(found, model, steps)
    done = recorded.get("run", recorded)
    console.print(f"Run {done['id']}: {done['rows']} answers of version {done['version']} in {done['path']}")


def list_runs(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Finished runs, newest last."""
    from archlab.lab import open_lab

    runs = open_lab(lab).control.get("/batch-runs")
    if as_json:
        emit_json(runs)
        return
    rows = [(r["business_time"], r["model"], r["version"], r["rows"], r["id"]) for r in runs]
    console.print(table("Batch runs", ("business time", "model", "version", "rows", "run"), rows, right=("rows",)))
