"""`archlab cost`: the bill, who pays for it, and whether it is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlab.cli.bill_lines import WhereOption, all_lines, correct, corrections, lines, matching
from archlab.cli.console import JsonOption, LabOption, console, emit_json, table, usd

if TYPE_CHECKING:
    from archlab.lab.lab import Lab
    from archlab.ledger.sharing import Rule
    from archlab.spec.money import Line


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help=cost.__doc__, invoke_without_command=True)
    group.callback()(cost)
    for command in (lines, correct, corrections):
        group.command()(command)
    app.add_typer(group, name="cost")


def cost(
    context: typer.Context,
    lab: LabOption = None,
    by: Annotated[
        str,
        typer.Option(
            help="Columns to add up by: team, model, mode, kind, section, resource, purchase, basis, reason, day."
        ),
    ] = "model,mode,kind",
    where: WhereOption = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="RULE", help="Showback per team, shared cost split: even, use, peak."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Both paths to the bill, by part, and every line on which they differ.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write every line as FOCUS 1.0 instead: .csv or .parquet."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The bill, and whether an independent recomputation agrees to the last nano-dollar."""
    from archlab.lab import open_lab

    if context.invoked_subcommand is not None:
        return
    opened = open_lab(lab)
    if export is not None:
        _export(opened, export)
    elif verify:
        _verify(opened, as_json=as_json)
    elif split is not None:
        _print_split(opened, _rule(split), as_json=as_json)
    elif where is not None:
        _print_part(matching(opened, where), by, as_json=as_json)
    else:
        _print_bill(opened, by, as_json=as_json)


def _print_bill(lab: Lab, by: str, *, as_json: bool) -> None:
    bill = lab.control.get(f"/cost?by={by}")
    if as_json:
        emit_json(bill)
        return
    _print_rows(bill["lines"], by)
    agrees = "[green]agrees[/]" if bill["agrees"] else "[bold red]does not agree[/]: archlab cost --verify"
    parts = " + ".join(f"{name} {usd(amount)}" for name, amount in bill["sections"].items())
    console.print(f"\n{parts}")
    console.print(
        f"total {usd(bill['total_nanousd'])} = {bill['total_nanousd']:,} nano-dollars; "
        f"recomputed from the raw records {bill['recomputed_nanousd']:,}: {agrees}"
    )
    if bill["emulated_nanousd"]:
        console.print(f"of it {usd(bill['emulated_nanousd'])} for emulated devices, which are reserved and never used")


def _print_part(found: list[Line], by: str, *, as_json: bool) -> None:
    from archlab.ledger import grouping

    rows = grouping.group(found, by.split(","))
    if as_json:
        emit_json(rows)
        return
    _print_rows(rows, by)
    console.print(f"\n{usd(sum(line.cost_nanousd for line in found))} of the bill, in {len(found):,} lines")


def _print_rows(rows: list[dict[str, Any]], by: str) -> None:
    keys = tuple(by.split(","))
    cells = [(*(_cell(row, key) for key in keys), usd(row["cost_nanousd"])) for row in rows]
    console.print(table("Bill (USD)", (*keys, "cost"), cells, right=("cost",), wrap=("reason",)))


def _cell(row: dict[str, Any], key: str) -> str:
    return str(row.get(key, "")) or {"model": "platform", "team": "nobody"}.get(key, "")


def _verify(lab: Lab, *, as_json: bool) -> None:
    from archlab.errors import ArchlabError

    found = lab.control.get("/cost/verification")
    if as_json:
        emit_json(found)
    else:
        _print_verified(found)
    if not found["agrees"]:
        raise ArchlabError(
            f"{found['differing']:,} lines differ from what the raw records and the price book give.",
            "See which with --verify; a price book that was changed after the fact does that.",
        )


def _print_verified(found: dict[str, Any]) -> None:
    parts = {**found["sections"], "total": _both(found["total_nanousd"], found["recomputed_nanousd"])}
    rows = [
        (name, *(f"{amount:,}" for amount in (both["billed_nanousd"], both["recomputed_nanousd"])), _gap(both))
        for name, both in parts.items()
    ]
    columns = ("part", "bill", "recomputed", "difference")
    console.print(table("Nano-dollars", columns, rows, right=columns[1:]))
    if found["differences"]:
        shown = [
            (
                d["line"] or "missing",
                d["usage_id"],
                d["kind"],
                *map(_amount, (d["billed_nanousd"], d["recomputed_nanousd"])),
            )
            for d in found["differences"]
        ]
        about = ("line", "record", "kind", "bill", "recomputed")
        console.print(table("Lines that differ", about, shown, right=about[3:], wrap=("record",)))
        return
    console.print(f"\n{found['lines']:,} lines: [green]every one agrees[/] with the raw records, computed anew in SQL")


def _both(billed: int, recomputed: int) -> dict[str, int]:
    return {"billed_nanousd": billed, "recomputed_nanousd": recomputed}


def _gap(both: dict[str, int]) -> str:
    gap = both["billed_nanousd"] - both["recomputed_nanousd"]
    return f"[red]{gap:,}[/]" if gap else "0"


def _amount(nanousd: int | None) -> str:
    return "none" if nanousd is None else f"{nanousd:,}"


def _print_split(lab: Lab, rule: Rule, *, as_json: bool) -> None:
    """Showback, with what the other rules would make of it."""
    from archlab.ledger import sharing

    found, rules = sharing.split(all_lines(lab)), [other for other in sharing.Rule if other is not rule]
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
    account = focus.Account(lab.name, scenario.title, scenario.prices.currency, teams, scenario.prices)
    rows = focus.rows(all_lines(lab), account)
    write_atomic(file, write(rows))
    total = usd(sum(row["x_CostNanoUsd"] for row in rows))
    what = f"{len(rows):,} lines, {total} {account.currency}, as FOCUS {focus.VERSION}"
    console.print(f"{what} in {file}", soft_wrap=True)
