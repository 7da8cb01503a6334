"""`archlab score | cost`: what the design earned, missed and cost."""

from __future__ import annotations

from typing import Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table, usd


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(score)
    app.command()(cost)


def score(
    lab: LabOption = None,
    day: Annotated[bool, typer.Option("--by-day", help="One line per finished business day.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Per model: requests, late, quality on labelled answers against the baseline, value, cost, net."""
    from archlab.lab import open_lab
    from archlab.spec.airline import Scoreboard

    found = open_lab(lab)
    if day:
        days = [Scoreboard.model_validate(d) for d in found.control.get("/score/daily")]
        if as_json:
            emit_json([d.model_dump(mode="json") for d in days])
            return
        lines = [(f"{d.since:%Y-%m-%d}", usd(d.value_nanousd), usd(d.cost_nanousd), usd(d.net_nanousd)) for d in days]
        console.print(table("Days (USD)", ("day", "value", "cost", "net"), lines, right=("value", "cost", "net")))
        return
    board = Scoreboard.model_validate(found.control.get("/score"))
    if as_json:
        emit_json(board.model_dump(mode="json"))
        return
    rows = []
    for m in board.models:
        quality = "" if m.quality is None else f"{m.metric} {m.quality:.3f}"
        better = m.quality is not None and m.baseline is not None and (m.quality > m.baseline) == m.higher_is_better
        base = "" if m.baseline is None else f"[{'green' if better else 'red'}]{m.baseline:.3f}[/]"
        rows.append(
            (
                m.model,
                m.mode,
                f"{m.requests:,}",
                m.late,
                m.stale,
                m.missing,
                quality,
                base,
                "" if m.p99_ms is None else f"{m.p99_ms:.0f}",
                usd(m.value_nanousd),
                usd(m.used_nanousd),
                usd(m.idle_nanousd),
                _signed(m.net_nanousd),
            )
        )
    columns = (
        "model",
        "mode",
        "asked",
        "late",
        "stale",
        "none",
        "quality",
        "baseline",
        "p99 ms",
        "value",
        "used",
        "idle",
        "net",
    )
    span = f"{board.since:%d %b %H:%M} to {board.until:%d %b %H:%M}Z, money in USD"
    console.print(table(f"Score, {span}", columns, rows, right=columns[2:6] + columns[8:]))
    console.print(
        f"\nvalue {usd(board.value_nanousd)}  −  cost {usd(board.cost_nanousd)} (shared {usd(board.shared_nanousd)})"
        f"  =  net [bold]{_signed(board.net_nanousd)}[/]"
    )
    console.print(
        "[dim]Money counts the real requests behind each replayed one (modelled). Processor time is metered.[/]"
    )


def cost(
    lab: LabOption = None,
    by: Annotated[
        str, typer.Option(help="Columns to add up by: model, mode, kind, team, resource, day.")
    ] = "model,mode,kind",
    as_json: JsonOption = False,
) -> None:
    """The bill, and whether an independent recomputation agrees to the last nano-dollar."""
    from archlab.lab import open_lab

    bill = open_lab(lab).control.get(f"/cost?by={by}")
    if as_json:
        emit_json(bill)
        return
    keys = tuple(by.split(","))
    rows = [(*(line.get(k, "") or "platform" for k in keys), usd(line["cost_nanousd"])) for line in bill["lines"]]
    console.print(table("Bill (USD)", (*keys, "cost"), rows, right=("cost",)))
    agrees = "[green]agrees[/]" if bill["agrees"] else "[bold red]does not agree[/]"
    console.print(
        f"\ntotal {usd(bill['total_nanousd'])} = {bill['total_nanousd']:,} nano-dollars; "
        f"recomputed from the raw records {bill['recomputed_nanousd']:,}: {agrees}"
    )


def _signed(nanousd: int) -> str:
    return f"[{'green' if nanousd >= 0 else 'red'}]{usd(nanousd)}[/]"
