"""`archlab pack …`: what an instructor does: keys, packs, grading of what learners hand in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, console, emit_json, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from archlab.grading.classroom import Sat
    from archlab.grading.content import Pack
    from archlab.grading.packs import Codes
    from archlab.spec.pack import Anchor, ExamPack

KeyOption = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="The instructor's keys; in archlab's home by default.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="For instructors: exams sealed to your key, graded on your machine.", no_args_is_help=True)
    for command in (key, make, grade):
        group.command()(command)
    app.add_typer(group, name="pack")


def key(file: KeyOption = None) -> None:
    """Make the instructor's keys, once. Whoever has the file can open and sign packs in your name."""
    from archlab.grading import packs
    from archlab.grading.signing import fingerprint

    path = file or _home() / "key.json"
    _, signing = packs.public_keys(packs.create_key(path))
    console.print(f"Your keys are in {path}; keep a copy elsewhere.", soft_wrap=True)
    console.print(f"Packs are signed by key [bold]{fingerprint(signing)}[/]: tell your learners.")


def make(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="The pack; the codes go beside it.")],
    scenario: Annotated[str, typer.Option("--scenario")] = "ten-models",
    title: Annotated[str, typer.Option("--title")] = "Exam",
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=1440)] = 60,
    seats: Annotated[int, typer.Option("--seats", min=1, max=500, help="One per learner.")] = 1,
    questions: Annotated[
        int | None, typer.Option("--questions", min=1, help="How many; as many as fit by default.")
    ] = None,
    blueprint: Annotated[str, typer.Option("--blueprint", metavar="EXAM", help="Only questions of one exam.")] = "",
    seed: Annotated[
        list[int] | None, typer.Option("--seed", help="A lab's seed, seat by seat; drawn where none is given.")
    ] = None,
    pause: Annotated[
        list[int] | None, typer.Option("--pause", help="A code per seat that stops the clock for at most MINUTES.")
    ] = None,
    extend: Annotated[
        list[int] | None, typer.Option("--extend", help="A code per seat that gives MINUTES more.")
    ] = None,
    file: KeyOption = None,
) -> None:
    """Seal an exam: a seed and a draw of questions per seat. Prints each seat's codes, once; keeps them beside it."""
    from archlab.errors import ConflictError
    from archlab.files import write_atomic, write_model
    from archlab.grading import packs
    from archlab.grading.content import load
    from archlab.plan.loading import scenario_folder

    codes_file = output.with_name(f"{output.stem}.codes.csv")
    for path in (output, codes_file):
        if path.exists():
            raise ConflictError(f"{path} exists already.", "Name another file; codes that were given out stay good.")
    order = packs.Order(
        title=title,
        scenario=scenario,
        minutes=minutes,
        seats=seats,
        questions=questions,
        blueprint=blueprint,
        seeds=tuple(seed or ()),
        pauses=tuple(pause or ()),
        extensions=tuple(extend or ()),
    )
    pack, codes = packs.make(order, load(scenario_folder(scenario)), packs.read_key(file or _home() / "key.json"))
    write_atomic(codes_file, _csv(codes))
    write_model(output, pack)
    output.chmod(0o644)
    rows = [(c.seat, c.seed, c.start, ", ".join(f"{a} {m} min: {k}" for a, m, k in c.controls)) for c in codes]
    console.print(table(title, ("seat", "seed", "start code", "pause and extend"), rows, right=("seed",)))
    console.print(f"\nGive out {output}; keep {codes_file} to yourself.", soft_wrap=True)


def grade(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What learners handed in: *.zip.")],
    pack: Annotated[Path, typer.Option("--pack", metavar="FILE")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="For the pages; FOLDER/report by default.")
    ] = None,
    anchors: Annotated[
        Path | None, typer.Option("--anchors", metavar="FILE", help="Heads seen so far; in archlab's home by default.")
    ] = None,
    file: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge hand-ins again from their evidence, check and anchor chains, write a page each and one of the class."""
    from datetime import UTC, datetime

    from archlab.errors import UserError
    from archlab.grading import classroom, packs
    from archlab.grading.content import load
    from archlab.plan.loading import scenario_folder

    exam = packs.read(pack)
    keys = packs.read_key(file or _home() / "key.json")
    if packs.public_keys(keys)[1] != exam.signing_key:
        raise UserError(f"{pack} was signed by another instructor's key.", "Name yours with --key.")
    questions = load(scenario_folder(exam.scenario))
    packs.refuse_other_content(exam, questions)
    noted_in, now = anchors or _home() / "anchors.jsonl", datetime.now(UTC)
    known = _anchors(noted_in)
    sat = classroom.grade_folder(folder, exam, packs.hidden(exam, keys), questions, known)
    _note(noted_in, classroom.new_anchors(sat, exam, known, now))
    where = output or folder / "report"
    _write_pages(where, sat, exam, questions, now)
    if as_json:
        emit_json([_facts(s) for s in sat])
        return
    rows = [
        (_safe(s.learner), _safe(s.seat), f"{s.points:g}/{s.possible}" if s.marks else "", _safe("; ".join(s.doubts)))
        for s in sat
    ]
    console.print(
        table(
            exam.title,
            ("learner", "seat", "points", "to look at"),
            rows,
            right=("points",),
            wrap=("to look at", "learner"),
        )
    )
    console.print(f"\nPages: {where / 'class.html'}", soft_wrap=True)


def _home() -> Path:
    from archlab.settings import home

    return home() / "instructor"


def _safe(text: str) -> str:
    """What a learner could have written, for a terminal: no markup, no control characters."""
    from rich.markup import escape

    return escape("".join(c if c.isprintable() else "?" for c in text))


def _csv(codes: Sequence[Codes]) -> str:
    lines = ["seat,seed,purpose,minutes,code"]
    for seat in codes:
        lines.append(f"{seat.seat},{seat.seed},start,,{seat.start}")
        lines += [f"{seat.seat},{seat.seed},{action},{minutes},{code}" for action, minutes, code in seat.controls]
    return "\n".join(lines) + "\n"


def _anchors(path: Path) -> tuple[Anchor, ...]:
    from pydantic import ValidationError

    from archlab.errors import SpecError
    from archlab.spec.pack import Anchor

    if not path.exists():
        return ()
    try:
        return tuple(Anchor.model_validate_json(line) for line in path.read_bytes().split(b"\n") if line)
    except ValidationError as error:
        raise SpecError(f"{path} is no file of anchors: {error.errors()[0]['msg']}.") from None


def _note(path: Path, found: Sequence[Anchor]) -> None:
    if not found:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.writelines(anchor.model_dump_json().encode() + b"\n" for anchor in found)


def _write_pages(where: Path, sat: Sequence[Sat], exam: ExamPack, questions: Pack, now: datetime) -> None:
    from archlab.files import write_atomic
    from archlab.grading import blueprints, classroom, pages

    known = blueprints.load()
    names = [f"learner-{number:03}.html" for number in range(1, len(sat) + 1)]
    for one, name in zip(sat, names, strict=True):
        write_atomic(where / name, pages.learner_page(one, exam, questions, known))
    found = classroom.statistics(sat, questions)
    write_atomic(where / "class.html", pages.class_page(sat, found, exam, questions, known, names, now))


def _facts(sat: Sat) -> dict[str, object]:
    return {
        "file": sat.file,
        "learner": sat.learner,
        "seat": sat.seat,
        "points": sat.points,
        "possible": sat.possible,
        "marks": [m.model_dump(mode="json") for m in sat.marks],
        "to_look_at": sat.doubts,
    }
