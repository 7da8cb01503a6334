"""`archlab score`: what the design earned, missed and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table, usd

if TYPE_CHECKING:
    from archlab.spec.airline import ModelScore, Scoreboard


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(score)


def score(
    lab: LabOption = None,
    day: Annotated[bool, typer.Option("--by-day", help="One line per finished business day.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Per model: requests, late, quality on labelled answers against the baseline, value, cost, net."""
    from archlab.lab import open_lab
    from archlab.spec.airline import Scoreboard

    control = open_lab(lab).control
    found = control.get("/score/daily") if day else [control.get("/score")]
    boards = [Scoreboard.model_validate(board) for board in found]
    if as_json:
        shown = [board.model_dump(mode="json") for board in boards]
        emit_json(shown if day else shown[0])
    elif day:
        _print_days(boards)
    else:
        _print_board(boards[0])


def _print_days(boards: list[Scoreboard]) -> None:
    rows = [(f"{b.since:%Y-%m-%d}", usd(b.value_nanousd), usd(b.cost_nanousd), _signed(b.net_nanousd)) for b in boards]
    console.print(table("Days (USD)", ("day", "value", "cost", "net"), rows, right=("value", "cost", "net")))


def _print_board(board: Scoreboard) -> None:
    counted = ("asked", "late", "stale", "none")
    money = ("p99 ms", "value", "used", "idle", "net")
    columns = ("model", "mode", *counted, "quality", "baseline", *money)
    title = f"Score, {board.since:%d %b %H:%M} to {board.until:%d %b %H:%M}Z, money in USD"
    console.print(table(title, columns, [_row(m) for m in board.models], right=(*counted, *money)))
    console.print(
        f"\nvalue {usd(board.value_nanousd)}  −  cost {usd(board.cost_nanousd)} (shared {usd(board.shared_nanousd)})"
        f"  =  net [bold]{_signed(board.net_nanousd)}[/]"
    )
    console.print(
        "[dim]Money counts the real requests behind each replayed one (modelled). Processor time is metered.\n"
        "Quality is of answers whose outcome is known by now; green and red: better or worse than the simple rule.[/]"
    )


def _row(m: ModelScore) -> tuple[str, ...]:
    better = m.quality is not None and m.baseline is not None and (m.quality > m.baseline) == m.higher_is_better
    return (
        m.model,
        m.mode,
        *(f"{count:,}" for count in (m.requests, m.late, m.stale, m.missing)),
        "" if m.quality is None else f"{m.metric.replace('explained_variance', 'expl')} {m.quality:.3f}",
        "" if m.baseline is None else f"[{'green' if better else 'red'}]{m.baseline:.3f}[/]",
        "" if m.p99_ms is None else f"{m.p99_ms:.0f}",
        *(usd(amount) for amount in (m.value_nanousd, m.used_nanousd, m.idle_nanousd)),
        _signed(m.net_nanousd),
    )


def _signed(nanousd: int) -> str:
    return f"[{'green' if nanousd >= 0 else 'red'}]{usd(nanousd)}[/]"
