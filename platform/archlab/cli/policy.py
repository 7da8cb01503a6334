"""`archlab policy`: rules, the bundle in force, decisions, exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table

if TYPE_CHECKING:
    from archlab.lab.lab import Lab

RuleArgument = Annotated[str, typer.Argument(help="AREA/RULE; `archlab policy exceptions --rules` lists those.")]
VersionOption = Annotated[str | None, typer.Option("--version", help="Only this version; by default every one.")]
AsOption = Annotated[str | None, typer.Option("--as", "--user", "-u", help="As whom; approver by default.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Rules, the bundle in force, decisions, exceptions.", no_args_is_help=True)
    group.command("apply")(apply)
    group.command("decisions")(decisions)
    group.command("verify")(verify)
    group.command("exceptions")(exceptions)
    group.command("except")(grant)
    group.command("revoke")(revoke)
    app.add_typer(group, name="policy")


def apply(lab: LabOption = None) -> None:
    """Sign the built-in rules and those in the lab's policies/ folder into a new bundle; the gate takes it at once."""
    from archlab.lab import open_lab
    from archlab.policy.bundle import publish

    found = open_lab(lab)
    digest = publish(found.folder)
    found.target.share()
    console.print(f"Bundle {digest[:12]} is in force. Your own rules are in {found.folder.policies}")


def decisions(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """The decision log: who asked what, what was answered, by which engine and bundle."""
    from archlab.lab import open_lab

    records = open_lab(lab).control.get("/decisions")
    if as_json:
        emit_json(records)
        return
    rows = []
    for record in records:
        query, decision = record["query"], record["decision"]
        verdict = "[green]allow[/]" if decision["allow"] else "[red]deny[/]"
        why = "; ".join([*(f"{r['rule']}: {r['message']}" for r in decision["reasons"]), *map(_told, _used(decision))])
        resource = f"{query['resource']['name']} {query['resource']['version']}".strip()
        rows.append(
            (
                record["sequence"],
                query["subject"]["user"],
                query["action"],
                resource,
                verdict,
                why,
                decision["engine"],
                decision["bundle_digest"][:8],
            )
        )
    columns = ("#", "user", "action", "resource", "decision", "reasons", "engine", "bundle")
    console.print(table("Decisions", columns, rows, wrap=("reasons", "engine")))


def verify(lab: LabOption = None) -> None:
    """Check the decision log's hash chain."""
    from archlab.errors import ArchlabError
    from archlab.lab import open_lab

    found = open_lab(lab).control.post("/decisions/verify")
    if found.get("faults"):
        raise ArchlabError("The decision log was changed: " + "; ".join(found["faults"]), "Compare with a backup.")
    console.print("The decision log is whole: every record follows from the one before.")


def exceptions(
    lab: LabOption = None,
    as_json: JsonOption = False,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules that can be waived.")] = False,
) -> None:
    """Rules that do not count for a model for a while: in force, expired, ended; who granted each, and until when."""
    from archlab.lab import open_lab
    from archlab.lab.exceptions import listed

    found = open_lab(lab)
    if rules:
        _show_rules(found, as_json=as_json)
        return
    known, now = listed(found)
    if as_json:
        emit_json([{**one.model_dump(mode="json"), "state": one.state(now)} for one in known])
        return
    colours = {"active": "green", "expired": "yellow", "ended": "dim"}
    rows = [
        (
            *(one.rule, one.model, one.version or "all", f"[{colours[one.state(now)]}]{one.state(now)}[/]"),
            *(f"{one.until:%Y-%m-%d %H:%M}Z", one.owner, one.granted_by, one.reason, one.id),
        )
        for one in known
    ]
    columns = ("rule", "model", "version", "state", "until", "owner", "granted by", "reason", "decision")
    console.print(table(f"Exceptions at {now:%Y-%m-%d %H:%M}Z on the business clock", columns, rows, wrap=("reason",)))


def grant(
    rule: RuleArgument,
    model: str,
    until: Annotated[str, typer.Option(help="Last day, or a time with its zone; on the business clock.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept in the decision log.")],
    lab: LabOption = None,
    version: VersionOption = None,
    owner: Annotated[
        str | None, typer.Option(help="Who sees to it that the rule is kept by then; by default who grants it.")
    ] = None,
    user: AsOption = None,
) -> None:
    """Waive a rule for one model until a day; the gate decides whether that may be, and the log keeps it."""
    from archlab.lab import open_lab
    from archlab.lab.exceptions import grant as put

    made = put(open_lab(lab), rule, model, version=version, until=until, reason=reason, owner=owner, user=user)
    about = f"{model} version {version}" if version else model
    ends = f"{made.until:%Y-%m-%d %H:%M}Z on the business clock"
    console.print(f"{rule} is waived for {about} until {ends}, by decision {made.id}.")


def revoke(
    rule: RuleArgument, model: str, lab: LabOption = None, version: VersionOption = None, user: AsOption = None
) -> None:
    """End an exception before its day."""
    from archlab.lab import open_lab
    from archlab.lab.exceptions import revoke as end

    name = end(open_lab(lab), rule, model, version=version, user=user)
    console.print(f"The exception of {model} from {rule} is revoked by {name}.")


def _show_rules(lab: Lab, *, as_json: bool) -> None:
    from archlab.policy.bundle import load

    waivable = [rule.id for rule in load(lab.folder).bundle.rules if rule.waivable]
    if as_json:
        emit_json(waivable)
        return
    console.print("These rules can be waived for a time, all others never:")
    for name in waivable:
        console.print(f"  {name}")


def _used(decision: dict[str, Any]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = decision.get("exceptions", [])
    return found


def _told(use: dict[str, str]) -> str:
    return f"{use['rule']} is waived until {use['until']} by exception {use['id']} of {use['granted_by']}"
