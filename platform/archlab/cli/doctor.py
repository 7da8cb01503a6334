"""`archlab doctor`: is this machine fit, and what to do where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table

if TYPE_CHECKING:
    from archlab.spec.experiments import Calibration


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    lab: LabOption = None,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Measure this machine; sweeps and designs scale loads to it."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check Python, programs, ports, disk and memory; each finding comes with its remedy."""
    from archlab.lab.diagnosis import diagnose

    findings = diagnose(lab)
    measured = _calibrated(lab) if calibrate else None
    if as_json:
        taken = measured.model_dump(mode="json") if measured else {}
        emit_json({"findings": [f.__dict__ for f in findings], "calibration": taken})
    else:
        mark = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "fault": "[red]fault[/]"}
        rows = [(mark[f.level], f.name, f.found, f.remedy) for f in findings]
        console.print(table("Doctor", ("", "what", "found", "remedy"), rows, wrap=("found", "remedy")))
        if measured:
            _show(measured)
    if any(f.level == "fault" for f in findings):
        raise typer.Exit(1)


def _calibrated(name: str | None) -> Calibration:
    from archlab.cli.progress import Steps
    from archlab.experiments.calibration import calibrate
    from archlab.lab import lab_names, open_lab
    from archlab.targets import snapshot

    lab = open_lab(name) if lab_names() else None
    with Steps("Measuring this machine") as steps:
        return calibrate(lab if lab and snapshot.exists(lab.folder) else None, steps)


def _show(taken: Calibration) -> None:
    console.print(
        f"ONNX Runtime: {taken.onnx_calls_per_s:,.0f} single-row calls per second on one thread "
        f"({taken.relative_speed:.2f} of the machine that thresholds were set on); {taken.cores} cores."
    )
    if taken.requests_per_s is None or taken.p99_ms is None:
        console.print("Through the gateway: not measured, there is no finished lab. Make one: archlab up ten-models")
        return
    rate, p99 = taken.requests_per_s, taken.p99_ms
    console.print(
        f"Through the gateway, one request after another: {rate.value:,.0f} per second "
        f"(95 %: {rate.low:,.0f} to {rate.high:,.0f}; noise {taken.noise or 0:.0%}), "
        f"p99 {p99.value:.1f} ms ({p99.low:.1f} to {p99.high:.1f})."
    )
