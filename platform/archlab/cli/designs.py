"""`archlab design ID`: what was measured of the design last handed in, as text and as a page; the lab may be down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json
from archlab.cli.grading import open_practice, panel

if TYPE_CHECKING:
    from archlab.grading.practice import Practice
    from archlab.spec.grading import Evidence


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(design)


def design(
    name: Annotated[str, typer.Argument(metavar="ID", help="A question of kind design; see: archlab questions")],
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """The design last handed in, beside the reference and the naive ones; writes the chart as an HTML page too."""
    from archlab.experiments.scoring import report, score

    practice = open_practice(lab)
    evidence = measured(practice, name)
    assert evidence.design is not None
    if as_json:
        emit_json(evidence.design.model_dump(mode="json"))
        return
    if evidence.design.submitted.regions is not None:
        # drilled, not replayed: there is no money by the day to draw
        last = practice.standing(name).last
        panel(last.message if last else "", name, "blue")
        return
    panel(report(evidence.design, score(evidence.design, evidence.scenario), evidence.scenario), name, "blue")
    console.print(f"[dim]As a page: {write_page(practice, name)}[/]", soft_wrap=True)


def measured(practice: Practice, name: str) -> Evidence:
    """The evidence of the last attempt at a design question.

    Raises:
        UserError: nothing was measured for it yet.
    """
    from archlab.errors import UserError

    last = practice.standing(name).last
    found = practice.store.get(last.evidence) if last is not None else None
    if found is None or found.design is None:
        raise UserError(f"No design was measured for {name} yet.", f"Hand one in: archlab answer {name} FILE")
    return found


def write_page(practice: Practice, name: str) -> Path:
    """The chart of the last attempt as a self-contained page in the lab's folder; its path."""
    from archlab.experiments.chart import page
    from archlab.experiments.scoring import marks, score
    from archlab.files import write_atomic

    evidence = measured(practice, name)
    trial = evidence.design
    assert trial is not None
    scored = score(trial, evidence.scenario)
    days = ", ".join(f"{day.since:%d %B}" for day in trial.submitted.days)
    notes = [
        f"Hidden days: {days}. Variant: seed {evidence.variant.seed}.",
        f"Broken promises: {'; '.join(scored.broken)}." if scored.broken else "Every promise was kept.",
    ]
    path = practice.lab / "designs" / f"{name}.html"
    write_atomic(path, page(practice.pack.question(name).title, marks(trial), notes))
    return path
