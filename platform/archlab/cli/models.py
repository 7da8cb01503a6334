"""`archlab models | set | approve | promote | rollback`: the learner's models and their versions."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, span, table

UserOption = Annotated[str | None, typer.Option("--user", "-u", help="As whom; learner by default.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Models as deployed and as registered.", invoke_without_command=True)
    group.callback()(models)
    group.command("show")(show)
    group.command("candidates")(candidates)
    group.command("bom")(bom)
    app.add_typer(group, name="models")
    app.command("set")(set_model)
    app.command()(approve)
    app.command()(promote)
    app.command()(rollback)


def models(context: typer.Context, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Every model: mode, pool, replicas, version that serves, and whether its end is announced."""
    if context.invoked_subcommand is not None:
        return
    from archlab.lab import open_lab
    from archlab.lab.standing import standings, told

    found = open_lab(lab)
    ends = standings(found)
    serving = {r["model"]: r for r in found.control.get("/releases")["releases"] if r["role"] == "champion"}
    rows: list[dict[str, Any]] = [
        {
            "model": m.name,
            "team": m.team,
            "mode": m.mode.value,
            "pool": serving.get(m.name, {}).get("pool", ""),
            "replicas": m.replicas if m.mode.value == "online" else "",
            "version": serving.get(m.name, {}).get("version", "none"),
            "state": told(ends, m.name, serving.get(m.name, {}).get("version", ""), "champion" * (m.name in serving)),
            "deadline_ms": m.caller.deadline_ms,
            "max_age": span(m.caller.max_age),
        }
        for m in found.scenario.models
    ]
    if as_json:
        emit_json(rows)
        return
    columns = tuple(rows[0])
    console.print(table("Models", columns, [tuple(r.values()) for r in rows], right=("replicas", "deadline_ms")))


def show(model: str, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """One model: its card, its versions with metrics and tags, what its callers can bring."""
    from archlab.lab import open_lab
    from archlab.lab.devices import gain_of
    from archlab.lab.facts import versions_of
    from archlab.lab.standing import standings, told

    found = open_lab(lab)
    facts, ends = versions_of(found, model), standings(found)
    card = found.business.cards[model]
    if as_json:
        emit_json({"card": card.model_dump(mode="json"), "versions": [f.model_dump(mode="json") for f in facts]})
        return
    console.print(f"[bold]{card.title}[/]\n{card.target}\nbaseline: {card.baseline}\n")
    rows = []
    for fact in facts:
        columns: list[dict[str, str]] = json.loads(fact.tags.get("archlab.columns", "[]"))
        views = Counter(c["source"] for c in columns if c["source"] != "request")
        rows.append(
            (
                fact.version,
                told(ends, model, fact.version, ", ".join(fact.aliases)),
                f"{card.metric} {fact.metrics.get(card.metric, float('nan')):.3f}",
                f"{fact.metrics.get(f'baseline_{card.metric}', float('nan')):.3f}",
                fact.author,
                fact.approved_by,
                ", ".join(c["name"] for c in columns if c["source"] == "request"),
                ", ".join(f"{view} {count}" for view, count in views.items()),
            )
        )
    titles = (
        "version",
        "state",
        "hold-out",
        "baseline",
        "author",
        "approved by",
        "asks callers for",
        "features looked up",
    )
    console.print(table("Versions", titles, rows, wrap=("asks callers for", "features looked up")))
    asked = ", ".join(c.name for c in card.columns if c.source == "request")
    console.print(f"\nWhat callers know when they ask: {asked}")
    for fact in facts:
        if gain := gain_of(fact.tags):
            verdict = "gains" if gain.gains else "gains nothing"
            console.print(f"Version {fact.version} {verdict} from a device: {gain.because}.")


def candidates(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Versions that wait for a decision: what they claim, measured on what, who stands behind them."""
    from archlab.lab import open_lab
    from archlab.lab.candidates import waiting

    found = waiting(open_lab(lab))
    if as_json:
        emit_json(found)
        return
    if not found:
        console.print("No version waits: all of them are, or were, champion.")
        return
    rows = [tuple(f"{v:.4g}" if isinstance(v, float) else v or "" for v in row.values()) for row in found]
    titles = tuple(key.replace("_", " ") for key in found[0])
    people = ("author", "asked by", "approved by", "hold")
    console.print(table("Candidates", titles, rows, right=("claims", "champion", "rows", "parity"), wrap=people))


def bom(
    version: Annotated[
        str, typer.Argument(metavar="MODEL[@VERSION]", help="MODEL@champion, MODEL@2; champion if only MODEL.")
    ],
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """A version's bill of materials (CycloneDX): what it is, what it was trained on and with.

    --json prints the document itself, as it lies beside the model.
    """
    from archlab import bom as materials
    from archlab.lab import open_lab
    from archlab.lab.facts import file_of, version_named

    found = open_lab(lab)
    fact = version_named(found, version)
    document = json.loads(file_of(found, fact, materials.FILE))
    if as_json:
        emit_json(document)
        return
    about = document["metadata"]
    rows = [
        (part["type"], part["name"], part.get("version", ""), (materials.sha256_of(part) or "")[:16])
        for part in (about["component"], *materials.components(document))
    ]
    console.print(table(f"{fact.model} version {fact.version}", ("type", "name", "version", "sha256"), rows))
    analysis = about["component"].get("modelCard", {}).get("quantitativeAnalysis", {})
    shown = ", ".join(f"{m['type']} {float(m['value']):.3f}" for m in analysis.get("performanceMetrics", ()))
    console.print(f"CycloneDX {document['specVersion']}, written {about['timestamp']}; on the hold-out: {shown}")


def set_model(
    model: str,
    setting: Annotated[str, typer.Argument(help="mode, replicas, batch-every, canary, shadow or device")],
    value: Annotated[
        str,
        typer.Argument(
            help="online|batch; 1 to 8; 30m, 6h, 1d; on, off or 0 to 100 percent; a device: on, off, CLASS or PROFILE"
        ),
    ],
    lab: LabOption = None,
    user: UserOption = None,
) -> None:
    """Change one model's deployment; takes effect without a failed request and survives a second `up`.

    canary: this share of the callers is answered by the challenger; the gate decides how large it may be. shadow: the
    challenger gets a copy of this share of the requests, and nobody sees its answers. Judge both with `archlab compare
    MODEL`.
    """
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab
    from archlab.lab.changes import change_model, parse_change, waiting
    from archlab.lab.lock import exclusive

    found = open_lab(lab)
    change = parse_change(setting, value)
    with exclusive(found.folder, f"set {model} {setting} {value}"), Steps(f"Changing {model}") as steps:
        changed = change_model(found, model, change, steps, user=user)
    waits = waiting(found, model)
    for line in (*changed, *([waits] if waits else ())) or ("nothing to change",):
        console.print(line, soft_wrap=True)


def approve(
    model: str,
    version: str,
    lab: LabOption = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="As whom; approver by default.")] = None,
) -> None:
    """Approve a version in the second identity's name."""
    from archlab.lab import open_lab
    from archlab.lab.promotion import approve as put_approval

    name = put_approval(open_lab(lab), model, version, user=user)
    console.print(f"{model} version {version} is approved by {name}.")


def promote(
    model: str,
    version: str,
    lab: LabOption = None,
    user: UserOption = None,
    alias: Annotated[str, typer.Option(help="champion, or challenger for a canary.")] = "champion",
) -> None:
    """Point an alias at a version; the gate decides, and says why when it refuses."""
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab
    from archlab.lab.changes import follow_aliases
    from archlab.lab.exceptions import used_by
    from archlab.lab.lock import exclusive
    from archlab.lab.promotion import CHAMPION, await_served
    from archlab.lab.promotion import promote as move

    found = open_lab(lab)
    with exclusive(found.folder, f"promote {model} {version}"), Steps(f"Promoting {model}") as steps:
        move(found, model, version, alias=alias, user=user)
        changed = follow_aliases(found, model, steps, user=user)
        followed = alias != CHAMPION or await_served(found, model, version)
    console.print(f"{model} version {version} is {alias}.")
    for use in used_by(found, model, version, alias):
        console.print(
            f"Waived: {use.rule}, until {use.until} on the business clock, by exception {use.id} of {use.granted_by}.",
            soft_wrap=True,
        )
    for line in changed:
        console.print(line, soft_wrap=True)
    _warn_unless(followed, model)


def rollback(model: str, lab: LabOption = None) -> None:
    """Undo the newest thing in a model's traffic: its canary, or else the last promotion to champion."""
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab
    from archlab.lab.lock import exclusive
    from archlab.lab.rollback import rollback as back

    found = open_lab(lab)
    with exclusive(found.folder, f"rollback {model}"), Steps(f"Rolling {model} back") as steps:
        done = back(found, model, steps)
    if done.was == "canary":
        console.print(f"{model}: the canary is over, version {done.by} answers all that version {done.version} did.")
    else:
        console.print(f"{model}: champion moved from version {done.version} back to version {done.by}.")
    _warn_unless(done.followed, model)


def _warn_unless(followed: bool, model: str) -> None:
    if not followed:
        console.print(f"[yellow]Not every replica answers with it yet:[/] archlab models show {model}, archlab status")
