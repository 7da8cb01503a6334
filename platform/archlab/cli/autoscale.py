"""`archlab autoscale`: replicas that follow load, or fixed ones to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import LabOption, console, table

if TYPE_CHECKING:
    from archlab.spec.autoscaling import Autoscaling, Scaling

OFF = "off"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(autoscale)


def autoscale(
    pool: Annotated[str, typer.Argument(help="A pool of servers, e.g. online; see: archlab models")],
    signal: Annotated[
        str, typer.Argument(help="cpu (a HorizontalPodAutoscaler), concurrency (archlab's control), or off")
    ],
    most: Annotated[int, typer.Option("--max", help="Never more pods than this.")] = 4,
    target: Annotated[
        float | None, typer.Option(help="Per pod: milli-cores (300 by default), or requests under way (1 by default).")
    ] = None,
    settle: Annotated[int, typer.Option(help="Seconds for which fewer pods must have been enough.")] = 60,
    lab: LabOption = None,
) -> None:
    """Let a pool's pods follow its load, on a cluster; never fewer than its models' replicas.

    Compare with fixed replicas: load it, see `archlab status`, and what the pods cost with `archlab cost`.
    """
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab
    from archlab.lab.changes import change_autoscaling
    from archlab.lab.lock import exclusive

    found, wanted = open_lab(lab), _wanted(signal, most, target, settle)
    with exclusive(found.folder, f"autoscale {pool} {signal}"), Steps(f"Changing {pool}") as steps:
        changed = change_autoscaling(found, pool, wanted, steps)
    for line in changed or ("nothing to change",):
        console.print(line, soft_wrap=True)


def show(scaling: tuple[Scaling, ...]) -> None:
    """What scales which pool, and what it did last; nothing where replicas are fixed."""
    if not scaling:
        return
    rows = [
        (
            s.unit,
            s.by,
            s.signal.value,
            "" if s.value_milli is None else amount(s, s.value_milli),
            amount(s, s.target_milli),
            f"{s.replicas} ({s.min_replicas} to {s.max_replicas})",
            s.said,
        )
        for s in scaling
    ]
    columns = ("pool", "scaled by", "on", "now", "target", "replicas", "")
    console.print(table("Autoscaling, per pod", columns, rows, right=("now", "target"), wrap=("",)))
    for event in sorted((e for s in scaling for e in s.events), key=lambda e: e.at):
        console.print(f"{event.at:%H:%M:%S}Z {event.unit} to {event.replicas} replicas: {event.why}", soft_wrap=True)


def amount(scaling: Scaling, milli: int) -> str:
    """A signal's value for people."""
    from archlab.spec.autoscaling import Signal

    return f"{milli} m" if scaling.signal is Signal.CPU else f"{milli / 1000:.2f}"


def _wanted(signal: str, most: int, target: float | None, settle: int) -> Autoscaling | None:
    from pydantic import ValidationError

    from archlab.errors import UserError
    from archlab.spec.autoscaling import Autoscaling, Signal

    if signal == OFF:
        return None
    if signal not in list(Signal):
        raise UserError(f"A pool can't be scaled on {signal!r}.", f"Known: {', '.join(Signal)}, {OFF}.")
    milli = (300 if target is None else round(target)) if signal == Signal.CPU else round(1000 * (target or 1))
    try:
        return Autoscaling(signal=Signal(signal), target_milli=milli, max_replicas=most, stabilization_s=settle)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{first['loc'][0]}: {first['msg']}.", "See: archlab autoscale --help") from None
