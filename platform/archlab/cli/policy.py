"""`archlab policy`: rules, the bundle in force, decisions."""

from __future__ import annotations

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Rules, the bundle in force, decisions.", no_args_is_help=True)
    group.command("apply")(apply)
    group.command("decisions")(decisions)
    group.command("verify")(verify)
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
        why = "; ".join(f"{r['rule']}: {r['message']}" for r in decision["reasons"])
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
