"""`archlab score | cost`: what the design earned, missed and cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table, usd

if TYPE_CHECKING:
    from archlab.lab.lab import Lab
    from archlab.ledger.sharing import Rule
    from archlab.spec.airline import ModelScore, Scoreboard
    from archlab.spec.money import Line


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


def cost(
    lab: LabOption = None,
    by: Annotated[
        str, typer.Option(help="Columns to add up by: model, mode, kind, team, resource, basis, day.")
    ] = "model,mode,kind",
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="RULE", help="Showback per team, shared cost split: even, use, peak."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write every line as FOCUS 1.0 instead: .csv or .parquet."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The bill, and whether an independent recomputation agrees to the last nano-dollar."""
    from archlab.lab import open_lab

    opened = open_lab(lab)
    if export is not None:
        _export(opened, export)
        return
    if split is not None:
        _print_split(opened, _rule(split), as_json=as_json)
        return
    bill = opened.control.get(f"/cost?by={by}")
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
    if bill["emulated_nanousd"]:
        console.print(f"of it {usd(bill['emulated_nanousd'])} for emulated devices, which are reserved and never used")


def _print_split(lab: Lab, rule: Rule, *, as_json: bool) -> None:
    """Showback, with what the other rules would make of it."""
    from archlab.ledger import sharing

    found, rules = sharing.split(_lines(lab)), [other for other in sharing.Rule if other is not rule]
    if as_json:
        teams = [{**team._asdict(), "total": team.total(rule)} for team in found.teams]
        emit_json({"rule": rule, "teams": teams, "shared": found.shared, "unallocated": found.unallocated})
        return
    money = ("used", "idle", "shared", "total")
    others = tuple(f"by {other}" for other in rules)
    rows = [
        (
            team.team,
            *(usd(amount) for amount in (team.used, team.idle, team.shares[rule])),
            f"[bold]{usd(team.total(rule))}[/]",
            *(usd(team.total(other)) for other in rules),
        )
        for team in found.teams
    ]
    title = f"Showback (USD), what is shared split by {rule}"
    console.print(table(title, ("team", *money, *others), rows, right=(*money, *others)))
    total = sum(team.total(rule) for team in found.teams) + found.unallocated
    console.print(f"\ntotal {usd(total)}, of it shared {usd(found.shared)}, unallocated {usd(found.unallocated)}")
    console.print(
        "[dim]even: every team the same; use: by the cost of what was used; peak: by most cores held at once.[/]"
    )


def _rule(name: str) -> Rule:
    from archlab.errors import UserError
    from archlab.ledger.sharing import Rule

    try:
        return Rule(name)
    except ValueError:
        raise UserError(f"Shared cost can't be split by {name!r}.", f"Rules: {', '.join(Rule)}.") from None


def _lines(lab: Lab) -> list[Line]:
    from archlab.spec.money import Line

    return [Line.model_validate(line) for line in lab.control.get("/lines")]


def _export(lab: Lab, file: Path) -> None:
    """Every line of the bill, as FinOps tools read it."""
    from archlab.errors import UserError
    from archlab.files import write_atomic
    from archlab.ledger import focus

    writers = {".csv": focus.to_csv, ".parquet": focus.to_parquet}
    if (write := writers.get(file.suffix)) is None:
        raise UserError(f"{file} is neither .csv nor .parquet.", "Try: archlab cost --export bill.csv")
    if not file.absolute().parent.is_dir():
        raise UserError(f"There is no folder {file.absolute().parent}.", "Make it, or name another.")
    scenario = lab.declared
    teams = {team.name: team.title for team in scenario.teams}
    account = focus.Account(lab.name, scenario.title, scenario.prices.currency, teams)
    rows = focus.rows(_lines(lab), account)
    write_atomic(file, write(rows))
    total = usd(sum(row["x_CostNanoUsd"] for row in rows))
    what = f"{len(rows):,} lines, {total} {account.currency}, as FOCUS {focus.VERSION}"
    console.print(f"{what} in {file}", soft_wrap=True)


def _signed(nanousd: int) -> str:
    return f"[{'green' if nanousd >= 0 else 'red'}]{usd(nanousd)}[/]"
