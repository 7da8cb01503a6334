"""`archlab access`: who may use what of whose, tried for real, explained, granted and taken back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import AsOption, JsonOption, LabOption, console, emit_json, err, table

if TYPE_CHECKING:
    from archlab.lab.matrix import Cell


ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept in the decision log.")]
TeamArgument = Annotated[str, typer.Argument(help="The team that uses it.")]
ThingArgument = Annotated[str, typer.Argument(help="A model, or a feature view.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Who may use what of whose: tried, explained, granted.", no_args_is_help=True)
    for command in (matrix, explain, grants, grant, revoke):
        group.command()(command)
    app.add_typer(group, name="access")


def matrix(
    lab: LabOption = None,
    team: Annotated[str | None, typer.Option(help="Only members of this team try.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Try everything as every kind of member, through the front door; what differs from the scenario is red.

    Exit code 1 when anything differs. Writes change nothing: MLflow refuses them after the gate has decided.
    """
    from archlab.errors import NotFoundError
    from archlab.lab import open_lab
    from archlab.lab.matrix import matrix as tried
    from archlab.lab.matrix import members

    opened = open_lab(lab)
    users = [user for user in members(opened.scenario) if team in (None, user.team)]
    if not users:
        known = ", ".join(sorted({user.team for user in opened.scenario.users}))
        raise NotFoundError(f"Team {team!r} has nobody.", f"Teams with users: {known}.")
    with err.status(f"{len(users)} members try"):
        cells = tried(opened, users)
    wrong = [cell for cell in cells if not cell.agrees]
    if as_json:
        emit_json([{**asdict(cell), "agrees": cell.agrees} for cell in cells])
    else:
        _show(cells)
        _judge(cells, wrong)
    if wrong:
        raise typer.Exit(1)


def _show(cells: list[Cell]) -> None:
    """A line per layer, resource and verb; a column per member."""
    who = list(dict.fromkeys((c.team, c.user) for c in cells))
    signs = [_sign(number) for number in range(len(who))]
    for sign, (team, user) in zip(signs, who, strict=True):
        roles = next(c.roles for c in cells if c.user == user)
        console.print(f"[bold]{sign:>2}[/] {user} [dim]{team}, {' '.join(roles)}[/]")
    rows: dict[tuple[str, str, str, str], dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.layer, cell.verb, cell.resource, cell.owner), {})[cell.user] = cell
    columns = ("layer", "what", "resource", "of", *signs)
    shown = [(*key, *(_mark(found[user]) for _, user in who)) for key, found in sorted(rows.items())]
    console.print(table("Access, as tried: ✓ can, · can't", columns, shown))


def _sign(number: int) -> str:
    """a to z, then aa, ab, …: a column is as narrow as can be."""
    rest = chr(ord("a") + number % 26)
    return rest if number < 26 else _sign(number // 26 - 1) + rest


def _mark(cell: Cell) -> str:
    sign = {True: "✓", False: "·", None: "?"}[cell.found]
    return sign if cell.agrees else f"[bold red]{sign}![/]"


def _judge(cells: list[Cell], wrong: list[Cell]) -> None:
    for cell in wrong:
        should, found = ("may" if cell.declared else "may not"), {True: "can", False: "can't", None: "no clear answer"}
        console.print(
            f"[red]{cell.user} ({cell.team}) {should} {cell.verb} {cell.resource} ({cell.layer}): "
            f"{found[cell.found]}, HTTP {cell.status}[/]. {cell.why}. {cell.detail}",
            soft_wrap=True,
        )
    verdict = "all as declared" if not wrong else f"[bold red]{len(wrong)} differ from what is declared[/]"
    console.print(f"\n{len(cells):,} tried: {verdict}.")


def explain(team: TeamArgument, resource: ThingArgument, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Why a team may use a model or feature view, or not: which grant, which rule."""
    from archlab.lab import open_lab
    from archlab.lab.granting import explain as explained

    found = explained(open_lab(lab), team, resource)
    if as_json:
        emit_json([{"what": what, "allow": verdict.allow, "why": verdict.why} for what, verdict in found])
        return
    rows = [(what, "yes" if verdict.allow else "no", verdict.why) for what, verdict in found]
    console.print(table(f"{team} and {resource}", ("what", "allowed", "because"), rows, wrap=("because",)))


def grants(lab: LabOption = None, user: AsOption = None, as_json: JsonOption = False) -> None:
    """Grants in force: all of them for the platform's team, a member's own team's otherwise."""
    from archlab.lab import open_lab

    found = open_lab(lab).client("/control", user).get("/grants")
    if as_json:
        emit_json(found)
        return
    rows = [
        (g["team"], g["may"], g["model"] or g["view"], g["owner"], ", ".join(g["without"]), g["decision"] or "scenario")
        for g in found
    ]
    console.print(table("Grants", ("team", "may", "what", "of", "without", "decided by"), rows))


def grant(
    team: TeamArgument,
    may: Annotated[str, typer.Argument(help="call or read")],
    resource: ThingArgument,
    without: Annotated[list[str] | None, typer.Option(help="A column of the view that stays closed.")] = None,
    reason: ReasonOption = "",
    user: AsOption = None,
    lab: LabOption = None,
) -> None:
    """Let a team call or read another's model, or read its view. An approver of the owner decides, or an operator."""
    from archlab.lab import granting, open_lab

    opened = open_lab(lab)
    wanted = granting.parse(opened.scenario, team, may, resource, tuple(without or ()))
    _tell(granting.grant(opened, wanted, reason, user, lambda *_: None), f"{team} may {may} {resource}.")


def revoke(
    team: TeamArgument,
    may: Annotated[str, typer.Argument(help="call or read")],
    resource: ThingArgument,
    reason: ReasonOption = "",
    user: AsOption = None,
    lab: LabOption = None,
) -> None:
    """Take a grant back."""
    from archlab.lab import granting, open_lab

    opened = open_lab(lab)
    unwanted = granting.parse(opened.scenario, team, may, resource)
    _tell(
        granting.revoke(opened, unwanted, reason, user, lambda *_: None), f"{team} may not {may} {resource} any more."
    )


def _tell(changes: tuple[str, ...], done: str) -> None:
    console.print(done)
    for change in changes:
        console.print(f"[dim]{change}[/]")
