"""`archlab neighbours`: one team asks far too much; what do the others notice, and what does each protection cost?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table, usd
from archlab_serving.settings import MAX_ROWS

if TYPE_CHECKING:
    from archlab.experiments.disturbance import Spread
    from archlab.spec.neighbours import NeighbourReport
    from archlab.spec.tenancy import Isolation


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(neighbours)


def neighbours(
    team: Annotated[str, typer.Argument(help="Who is made noisy; see: archlab isolation")],
    design: Annotated[
        list[str] | None,
        typer.Option("--design", "-d", help="none, limit, share or pool; again for more; else all."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Times that each design is measured, in turn.")] = 3,
    seconds: Annotated[int, typer.Option(min=3, max=120, help="Of each phase: before, during, after.")] = 8,
    rows: Annotated[
        int, typer.Option(min=1, max=MAX_ROWS, help="Of each noisy request, or more where those cost too little.")
    ] = 2048,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="Noisy requests per second, each of just --rows; else three times what this machine answers."
        ),
    ] = None,
    victims: Annotated[float, typer.Option(min=1, max=200, help="Requests per second of each other team.")] = 40,
    again: Annotated[bool, typer.Option("--show", help="Measure nothing; show the newest report.")] = False,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the others before, during and after, in a scratch lab, with a control run and what each design holds.

    Half a minute per design and round. Exit code 1 when the control run moved as well: then nothing follows.
    """
    from archlab.cli.progress import Steps
    from archlab.experiments import neighbours as experiment
    from archlab.experiments.disturbance import void
    from archlab.lab import open_lab
    from archlab.lab.lab import read
    from archlab.spec.neighbours import NeighbourReport

    found = open_lab(lab)
    setting = experiment.Setting(team, _designs(design), rounds, seconds, rows, victims, rate)
    experiment.check(found.scenario, team)
    if again:
        report = read(NeighbourReport, experiment.place(found, team))
    else:
        with Steps(f"{team} becomes noisy") as steps:
            report = experiment.measure(found, setting, steps)
    if as_json:
        emit_json(report.model_dump(mode="json"))
    else:
        _show(report)
        console.print(f"[dim]Written to {experiment.place(found, team)}[/]", soft_wrap=True)
    if void(report):
        raise typer.Exit(1)


def _designs(asked: list[str] | None) -> tuple[Isolation, ...]:
    from archlab.cli.isolation import kind_named
    from archlab.spec.tenancy import Isolation

    wanted = {kind_named(text) for text in asked or Isolation}
    return tuple(kind for kind in Isolation if kind in wanted)


def _show(report: NeighbourReport) -> None:
    from archlab.experiments.disturbance import outcomes, rows, void

    columns = ("design", "team", "p99 before", "during", "during ÷ before", "after ÷ before", "errors", "throughput")
    cells = [
        (
            *(row.design, row.team, f"{row.before_ms.median:.1f}", f"{row.during_ms.median:.1f}"),
            *(_spread(row.worse), _spread(row.after), f"{row.errors:.1%}", f"{row.throughput.median:.2f}"),
        )
        for row in rows(report)
    ]
    rounds = max(r.round for r in report.runs)
    title = f"Others while {report.team} is noisy: p99 in ms, medians of {rounds} rounds [least, most]"
    console.print(table(title, columns, cells, right=columns[2:]))
    console.print()
    found = outcomes(report)
    base = next((o.held_nanousd for o in found if o.design == "none"), None)
    named = ("design", "worst victim's p99", "its errors", "noise answered/s", "refused", "held", "more than none")
    lines = [
        (
            *(o.design, f"× {_spread(o.worst.worse)}", f"{o.worst.errors:.1%}"),
            "" if o.noise_answered_per_s is None else f"{o.noise_answered_per_s.median:.0f}",
            "" if o.noise_answered_per_s is None else f"{o.noise_refused:.0%}",
            *_money(o.held_nanousd, base),
        )
        for o in found
    ]
    console.print(
        table("What each design protects and holds (USD for 30 days, modelled)", named, lines, right=named[1:])
    )
    console.print(
        f"\nNoise: {report.offered_per_s:g} requests/s of {report.rows} rows; each other team "
        f"{report.victims_per_s:g}/s; {report.seconds} s per phase; {report.took_s:.0f} s in all."
    )
    if reason := void(report):
        console.print(f"[red]Nothing follows:[/] {reason}. Again on a quiet machine.")


def _money(held: int | None, base: int | None) -> tuple[Any, Any]:
    if held is None:
        return "", ""
    return usd(held), "" if base is None else usd(held - base)


def _spread(found: Spread) -> str:
    return f"{found.median:.2f} [{found.least:.2f}, {found.most:.2f}]"
