"""`archlab audit`: the decision log verified, searched, exported; heads kept elsewhere; evidence for a control."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table

if TYPE_CHECKING:
    from archlab.lab.audit import Log
    from archlab.spec.policy import ExceptionUse

FileOption = Annotated[Path | None, typer.Option("--file", help="An exported log instead of a lab's.")]
AnchorsOption = Annotated[Path | None, typer.Option("--anchors", help="File of anchors; by default the home's own.")]
Since = Annotated[datetime | None, typer.Option("--since", help="Business time, UTC, from then on.")]
Until = Annotated[datetime | None, typer.Option("--until", help="Business time, UTC, before then.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="The decision log: verified, searched, exported.", no_args_is_help=True)
    for command in (verify, query, export, evidence):
        group.command()(command)
    app.add_typer(group, name="audit")


def verify(
    lab: LabOption = None, file: FileOption = None, anchors: AnchorsOption = None, as_json: JsonOption = False
) -> None:
    """Check the chain, and every head that was anchored before; a lab's head is anchored when both are sound.

    Edits, gaps and another order show in the chain. A cut end, or a chain that was written anew, shows only against an
    anchor: keep a copy of the anchors' file where those who could change the log can't write.
    """
    from archlab.errors import RefusedError
    from archlab.lab import audit

    log = _log(lab, file, anchors)
    found = log.soundness
    if found.whole and file is None:
        audit.keep(log)
    if as_json:
        emit_json({**found.model_dump(mode="json"), "whole": found.whole})
    if not found.whole:
        raise RefusedError(
            "The decision log is not what was written: " + "; ".join(found.faults) + ".",
            "Compare with an export: archlab audit verify --file FILE",
        )
    if not as_json:
        console.print(f"{found.records} decisions, head {found.head[:16]}: each follows from the one before.")
        console.print(f"Held against {found.anchors} anchors in {log.anchors_file}", soft_wrap=True)


def query(
    lab: LabOption = None,
    file: FileOption = None,
    user: Annotated[str | None, typer.Option(help="Who asked.")] = None,
    action: Annotated[str | None, typer.Option(help="An action, or an area such as promotion.")] = None,
    model: Annotated[str | None, typer.Option(help="What it was about.")] = None,
    rule: Annotated[str | None, typer.Option(help="AREA/RULE that objected.")] = None,
    allow: Annotated[bool | None, typer.Option("--allow/--deny", help="Only what was allowed, or denied.")] = None,
    since: Since = None,
    until: Until = None,
    as_json: JsonOption = False,
) -> None:
    """Decisions that fit, oldest first, each with its engine and bundle."""
    from archlab.lab.audit import utc
    from archlab.policy.audit import Wanted

    wanted = Wanted(user, action, model, rule, allow, utc(since), utc(until))
    found = [record for record in _log(lab, file, None).records if wanted.fits(record)]
    if as_json:
        emit_json([record.model_dump(mode="json") for record in found])
        return
    rows = [
        (
            r.sequence,
            f"{r.business_time:%Y-%m-%d %H:%M}Z",
            r.query.subject.user,
            r.query.action,
            f"{r.query.resource.name} {r.query.resource.version}".strip(),
            "allow" if r.decision.allow else "deny",
            "; ".join([*(f"{w.rule}: {w.message}" for w in r.decision.reasons), *map(_waived, r.decision.exceptions)]),
            r.decision.engine,
            r.decision.bundle_digest[:8],
        )
        for r in found
    ]
    columns = ("#", "business time", "user", "action", "resource", "decision", "reasons", "engine", "bundle")
    console.print(table("Decisions", columns, rows, wrap=("reasons", "engine")))


def export(out: Path, lab: LabOption = None) -> None:
    """Write the log as JSON lines, for somebody who does not have the lab. An existing file is not overwritten."""
    from archlab.lab import audit

    log = _log(lab, None, None)
    audit.export(log, out)
    console.print(f"{len(log.records)} decisions in {out}, head {log.soundness.head}", soft_wrap=True)


def evidence(
    control: Annotated[str, typer.Argument(help="four-eyes or deletion")],
    out: Annotated[Path, typer.Option("--out", help="Folder for evidence.json and evidence.html.")],
    since: Since = None,
    until: Until = None,
    lab: LabOption = None,
    anchors: AnchorsOption = None,
) -> None:
    """Evidence that a control worked in a period: every promotion, the log's soundness, what is served now."""
    from archlab.lab import audit

    pack = audit.evidence(lab, control, anchors, since, until)
    written = audit.write(pack, out)
    console.print(f"{pack.statement}\nVerdict: {pack.verdict}; {len(pack.findings)} cases, {pack.log.records} records.")
    for path in written:
        console.print(str(path), soft_wrap=True)


def _waived(use: ExceptionUse) -> str:
    return f"{use.rule} waived until {use.until} by {use.granted_by} ({use.id})"


def _log(lab: str | None, file: Path | None, anchors: Path | None) -> Log:
    from archlab.lab import audit, open_lab

    return audit.of_file(file, anchors) if file else audit.of_lab(open_lab(lab), anchors)
