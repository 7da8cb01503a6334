"""`archlab cost lines | correct | corrections`: single lines of a bill, and what was found wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import NANO, JsonOption, LabOption, console, emit_json, table, usd

if TYPE_CHECKING:
    from archlab.lab.lab import Lab
    from archlab.spec.money import Line

WhereOption = Annotated[
    str | None,
    typer.Option("--where", metavar="NAME=VALUE,…", help="Only lines like this: team=operations,kind=idle."),
]


def lines(
    lab: LabOption = None,
    where: WhereOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the dearest first.")] = 40,
    as_json: JsonOption = False,
) -> None:
    """Single lines of the bill with their ids, the dearest first."""
    from archlab.lab import open_lab

    found = sorted(matching(open_lab(lab), where or ""), key=lambda line: (-abs(line.cost_nanousd), line.start))
    if as_json:
        emit_json([{"id": line.id, **line.model_dump(mode="json")} for line in found[:limit]])
        return
    shown = found[:limit]
    about = ("line", "from", "team", "model", "mode", "kind", "resource", "quantity", "bought", "cost")
    columns = (*about, "why") if any(line.reason for line in shown) else about
    rows = [_row(line)[: len(columns)] for line in shown]
    console.print(table("Lines (USD)", columns, rows, right=("quantity", "cost"), wrap=("why",)))
    if len(found) > limit:
        console.print(f"\n{len(found) - limit:,} more: --limit {len(found)}, or fewer with --where")


def correct(
    line: Annotated[str, typer.Argument(help="Id of a line: archlab cost lines")],
    reason: Annotated[str, typer.Option(help="Why; it stands on the bill.")],
    amount: Annotated[float | None, typer.Option(metavar="USD", help="What the line should have cost.")] = None,
    team: Annotated[str | None, typer.Option(help="Who should have paid for it.")] = None,
    lab: LabOption = None,
    user: Annotated[
        str | None, typer.Option("--as", "--user", "-u", help="As whom; it takes the role approver.")
    ] = None,
) -> None:
    """Book a correction: new lines that make up the difference; the line itself stays as it is."""
    from archlab.lab import open_lab
    from archlab.spec.money import Correction

    opened = open_lab(lab)
    nanousd = None if amount is None else round(amount * NANO)
    body = {"line": line, "amount_nanousd": nanousd, "team": team, "reason": reason}
    made = Correction.model_validate(opened.client("/control", user).post("/corrections", body))
    for added in made.lines:
        console.print(f"{added.id}: {usd(added.cost_nanousd)} USD for {added.team or 'nobody'}, {added.kind}")
    console.print(f"Booked by {made.by} on {made.at:%Y-%m-%d %H:%M}Z. Line {line} stays as it is.")


def corrections(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """What was corrected, by whom, and why."""
    from archlab.lab import open_lab
    from archlab.spec.money import Correction

    found = open_lab(lab).control.get("/corrections")
    if as_json:
        emit_json(found)
        return
    if not found:
        console.print("Nothing was corrected.")
        return
    rows = [
        (
            f"{made.at:%Y-%m-%d %H:%M}",
            made.corrects,
            line.team or "nobody",
            usd(line.cost_nanousd),
            made.by,
            made.reason,
        )
        for made in (Correction.model_validate(one) for one in found)
        for line in made.lines
    ]
    columns = ("booked", "line", "team", "USD", "by", "why")
    console.print(table("Corrections", columns, rows, right=("USD",), wrap=("why",)))


def _row(line: Line) -> tuple[str, ...]:
    why = f"corrects {line.corrects}: {line.reason}" if line.corrects else line.reason
    return (
        *(line.id, f"{line.start:%m-%d %H:%M}", line.team or "nobody", line.model, line.mode, line.kind.value),
        *(line.resource.value, f"{line.quantity:,}", line.purchase.value, usd(line.cost_nanousd), why),
    )


def matching(lab: Lab, where: str) -> list[Line]:
    """Lines whose dimensions are as asked."""
    from archlab.errors import UserError
    from archlab.ledger import grouping

    wanted: dict[str, str] = {}
    for pair in filter(None, where.split(",")):
        name, found, value = pair.partition("=")
        if not found:
            raise UserError(f"{pair!r} is not NAME=VALUE.", "Try: --where team=operations,kind=idle")
        wanted[grouping.check([name])[0]] = value
    return [line for line in all_lines(lab) if all(grouping.dimension(line, k) == v for k, v in wanted.items())]


def all_lines(lab: Lab) -> list[Line]:
    """The whole bill, line by line."""
    from archlab.spec.money import Line

    return [Line.model_validate(line) for line in lab.control.get("/lines")]
