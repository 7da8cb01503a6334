"""`archlab gradebook …` and `archlab regrade`: what was answered, shown, checked, judged again, handed in."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table
from archlab.cli.grading import coloured, open_practice

if TYPE_CHECKING:
    from archlab.grading.regrading import Regraded
    from archlab.spec.gradebook import Entry


class Format(StrEnum):
    """What `export` writes."""

    CSV = "csv"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What was answered: shown, checked, judged again.", no_args_is_help=True)
    for command in (show, verify, report, regrade, export):
        group.command()(command)
    group.command("hand-in")(hand_in)
    app.add_typer(group, name="gradebook")
    app.command()(regrade)


def show(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Every line of the gradebook."""
    entries = open_practice(lab).book.entries()
    if as_json:
        emit_json([e.model_dump(mode="json") for e in entries])
        return
    columns = ("#", "UTC", "entry", "question", "answer", "verdict", "points", "hash")
    console.print(table("Gradebook", columns, [_row(e) for e in entries], right=("#", "points")))


def verify(
    head: Annotated[
        str | None, typer.Option("--head", metavar="HASH", help="A head noted earlier: at least 16 digits of it.")
    ] = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check chain and signatures, and print the head. A cut end shows only against a head noted elsewhere."""
    from archlab.errors import UserError
    from archlab.grading.signing import fingerprint

    book = open_practice(lab).book
    found = book.verify()
    aside = book.set_aside() if found.torn else None
    noted = _noted(book.entries(), head) if head and not found.fault else None
    if as_json:
        facts = {"entries": found.entries, "head": found.head, "key": found.key, "fault": found.fault}
        emit_json({**facts, "torn": found.torn, "noted_head_at": noted.sequence if noted else None})
    if found.fault:
        raise UserError(f"{book.path}: {found.fault}", f"The {found.entries} entries before it hold.")
    if head and noted is None:
        raise UserError(
            f"{book.path} has no entry with the head {head[:16]}: lines were cut off or written anew since.",
            "Compare with a copy from that time.",
        )
    if as_json:
        return
    signed = f"signed by key {fingerprint(found.key)}, " if found.key else ""
    console.print(f"The gradebook is whole: {found.entries} entries, {signed}head\n{found.head}", soft_wrap=True)
    if noted is not None:
        console.print(f"The noted head is entry {noted.sequence}; {found.entries - noted.sequence} came since.")
    if aside is not None:
        console.print(f"[yellow]{found.torn} was set aside in {aside}; nothing that was recorded is lost.[/]")


def regrade(
    changed: Annotated[bool, typer.Option("--changed", help="Only what is judged otherwise today.")] = False,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge everything again from its stored evidence with today's graders; the lab need not run. Changes nothing."""
    found = [r for r in open_practice(lab).regrade() if not (changed and r.agrees)]
    if as_json:
        emit_json([_facts(r) for r in found])
        return
    rows = [
        (
            r.sequence,
            r.exam or "practice",
            r.question,
            coloured(r.then.value) if r.then else "not answered",
            f"{r.then_points:g}",
            coloured(r.now.value) if r.now else ("not answered" if r.agrees else r.message),
            f"{r.now_points:g}",
            "" if r.agrees else "[bold red]differs[/]",
        )
        for r in found
    ]
    columns = ("#", "where", "question", "then", "points", "now", "points now", "")
    console.print(table("Judged again", columns, rows, right=("#", "points", "points now"), wrap=("now",)))
    differing = sum(not r.agrees for r in found)
    console.print(f"\n{differing} of {len(found)} differ." if found else "\nNothing differs.", highlight=False)


def report(
    blueprint: Annotated[
        str | None, typer.Option("--blueprint", metavar="EXAM", help="Domains of one exam, e.g. PMLE.")
    ] = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """What you practised, by competency and by the domains of exams, and where to practise what is missing."""
    from archlab.cli.results import item_facts, show_items
    from archlab.grading.blueprints import Item

    practice = open_practice(lab)
    items = [Item(s.question, s.spent > 0, s.points, s.question.points) for s in practice.sheet()]
    if as_json:
        emit_json(item_facts(items, practice.pack.questions, blueprint))
    else:
        show_items(items, practice.pack.questions, blueprint)


def export(
    form: Annotated[Format, typer.Option("--format", help="csv or json.")] = Format.CSV,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Where to; standard output by default.")] = None,
    lab: LabOption = None,
) -> None:
    """The gradebook for other programs: one record per line, and per question of an exam."""
    from archlab.grading.export import as_csv, as_json

    entries = open_practice(lab).book.entries()
    text = as_csv(entries) if form is Format.CSV else as_json(entries)
    if file is None:
        sys.stdout.write(text)
        return
    file.write_text(text, encoding="utf-8", newline="")
    console.print(f"{len(entries)} entries are in {file}.")


def hand_in(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A ZIP, e.g. ada.zip.")],
    learner: Annotated[str, typer.Option("--name", help="Who you are, for the instructor.")],
    lab: LabOption = None,
) -> None:
    """Write gradebook and evidence into one file for the instructor; they grade it without your lab."""
    from archlab.grading import handin, sittings
    from archlab.lab import open_lab

    found, book = open_lab(lab), open_practice(lab).book
    identity = found.identity
    about = handin.write(
        file,
        found.folder.root,
        learner=learner,
        name=found.name,
        scenario=identity.scenario,
        seed=identity.seed,
        book=book,
    )
    size = file.stat().st_size / 1024
    console.print(
        f"{file}: {about.entries} entries and their evidence, {size:,.0f} KiB, head\n{about.head}", soft_wrap=True
    )
    running = sittings.current(book.entries(), book.now())
    if running is not None:
        console.print(f"[yellow]{running.exam} is not finished: archlab exam finish, then hand in again.[/]")


def _row(entry: Entry) -> tuple[object, ...]:
    facts = entry.model_dump(mode="json")
    points = facts.get("points", f"-{facts['cost_percent']} %" if "cost_percent" in facts else "")
    if "marks" in facts:
        points = f"{sum(m['points'] for m in facts['marks']):g}"
    return (
        entry.sequence,
        f"{entry.wall_time:%d %b %H:%M}",
        facts["format"].split("/")[1],
        facts.get("question", facts.get("exam")),
        _shortened(facts.get("answer", facts.get("hint", facts.get("action")))),
        coloured(facts.get("verdict", "")),
        points,
        entry.hash[:8],
    )


def _noted(entries: tuple[Entry, ...], head: str) -> Entry | None:
    wanted = head.strip().lower()
    return next((e for e in entries if len(wanted) >= 16 and e.hash.startswith(wanted)), None)


def _facts(found: Regraded) -> dict[str, Any]:
    return {
        "sequence": found.sequence,
        "exam": found.exam,
        "question": found.question,
        "then": found.then.value if found.then else None,
        "then_points": found.then_points,
        "now": found.now.value if found.now else None,
        "now_points": found.now_points,
        "agrees": found.agrees,
        "message": found.message,
    }


def _shortened(answer: Any) -> str:
    shown = ", ".join(answer) if isinstance(answer, list) else "" if answer is None else str(answer)
    return shown if len(shown) <= 20 else f"{shown[:19]}…"
