"""`archlab sweep load | materialisation`: measure something over a range; questions judge by what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, span, table

FEWEST_DAYS = 7
"""Fewer days say nothing about how much days differ."""

if TYPE_CHECKING:
    from archlab.lab import Lab
    from archlab.spec.experiments import Estimate, Sweep


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Measure something over a range, with intervals.", no_args_is_help=True)
    group.command("load")(load)
    group.command("materialisation")(materialisation)
    group.command("show")(show)
    app.add_typer(group, name="sweep")


def load(
    model: Annotated[str, typer.Argument(help="An online model.")],
    replicas: Annotated[str, typer.Option(help="How many replicas, separated by commas.")] = "1,2,3",
    share: Annotated[
        str, typer.Option(help="Offered load as shares of the calibrated rate; the model's peak by default.")
    ] = "",
    repeats: Annotated[int, typer.Option(min=2, max=20, help="Loads per point.")] = 3,
    seconds: Annotated[int, typer.Option(min=2, max=120, help="Length of each load.")] = 5,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """p99, throughput and availability over replicas and load, in a scratch lab beside yours."""
    from archlab.cli.progress import Steps
    from archlab.experiments.sweeps import LoadRange
    from archlab.experiments.sweeps import load as measure
    from archlab.lab import open_lab

    found = open_lab(lab)
    peak = next((m.slo.peak_share for m in found.resolved.models if m.name == model), None)
    shares = _numbers(share) if share else [peak or 0.25]
    over = LoadRange([int(n) for n in _numbers(replicas)], shares, repeats, seconds)
    _check_replicas(over.replicas)
    with Steps("Sweeping") as steps:
        sweep = measure(found, model, over, steps)
    _show(found, sweep, as_json)


def materialisation(
    model: Annotated[str, typer.Argument(help="A model that reads the view.")],
    view: Annotated[str, typer.Argument(help="A feature view, e.g. corridor.")],
    every: Annotated[str, typer.Option(help="Intervals, separated by commas; the first is compared with.")] = (
        "30m,1h,6h,1d"
    ),
    days: Annotated[int, typer.Option(min=FEWEST_DAYS, max=120, help="Past days that are asked about again.")] = 28,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Quality and price over how often a feature view is brought up to date: a backtest, the clock stands still."""
    from archlab.cli.progress import Steps
    from archlab.experiments.sweeps import materialisation as measure
    from archlab.lab import open_lab
    from archlab.lab.clock import parse_span

    found = open_lab(lab)
    schedules = [parse_span(part) for part in every.split(",")]
    with Steps("Sweeping") as steps:
        sweep = measure(found, model, view, schedules, days, steps)
    _show(found, sweep, as_json)


def show(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """The sweeps that this lab has recorded; the newest of each model."""
    from archlab.lab import open_lab
    from archlab.lab.records import sweeps

    found = open_lab(lab)
    recorded = sweeps(found)
    if as_json:
        emit_json([s.model_dump(mode="json") for s in recorded])
        return
    for sweep in recorded:
        _show(found, sweep, as_json=False)
    if not recorded:
        console.print("No sweep was recorded yet. For example: archlab sweep load departure-delay")


def _show(lab: Lab, sweep: Sweep, as_json: bool) -> None:
    if as_json:
        emit_json(sweep.model_dump(mode="json"))
        return
    settings, measures = list(sweep.points[0].settings), list(sweep.points[0].measures)
    rows = [
        (*(_setting(name, p.settings[name]) for name in settings), *(_estimate(p.measures[name]) for name in measures))
        for p in sweep.points
    ]
    fixed = ", ".join(f"{k} {v}" for k, v in sweep.fixed.items())
    title = f"{sweep.name} of {sweep.model}" + (f" ({fixed})" if fixed else "")
    columns = [*(name.removesuffix("_s") if name == "every_s" else name for name in settings), *measures]
    console.print(table(title, columns, rows, right=columns))
    console.print(f"[dim]{sweep.method} {sweep.seconds:.0f} s.[/]")
    slo = lab.resolved.model(sweep.model).slo
    promised = [f"p99 {slo.p99_ms} ms", f"availability {slo.availability}"]
    if slo.max_quality_loss is not None:
        promised.append(f"quality at most {slo.max_quality_loss:g} worse than with the freshest features")
    if slo.peak_share is not None:
        promised.append(f"at a peak of {slo.peak_share:g} of the calibrated rate")
    console.print(f"Promised by {sweep.model}: {'; '.join(promised)}.")


def _setting(name: str, value: float) -> str:
    return span(timedelta(seconds=value)) if name == "every_s" else f"{value:g}"


def _estimate(found: Estimate) -> str:
    if found.low == found.high:
        return f"{found.value:.4g}"
    return f"{found.value:.4g} ({found.low:.4g} to {found.high:.4g})"


def _numbers(text: str) -> list[float]:
    from archlab.errors import UserError

    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{text!r} is no list of numbers.", "Write them with commas: 1,2,3") from None
    if not all(0 < n <= 100 for n in found):
        raise UserError(f"{text!r}: every number has to be above 0 and at most 100.")
    return found


def _check_replicas(counts: Sequence[int]) -> None:
    from archlab.errors import UserError

    if not all(1 <= n <= 8 for n in counts):
        raise UserError("A model has 1 to 8 replicas.", "For example: --replicas 1,2,3")
