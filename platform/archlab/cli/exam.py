"""`archlab exam …`: questions against the clock, verdicts only after the end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table
from archlab.cli.grading import given, open_exams, panel, question_markdown

if TYPE_CHECKING:
    from archlab.grading.exams import Exams
    from archlab.grading.sittings import Sitting

CodeArgument = Annotated[str, typer.Argument(metavar="CODE", help="What the instructor gave you; works once.")]
QuestionArgument = Annotated[str, typer.Argument(metavar="ID", help="See: archlab exam status")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Questions against the clock; verdicts after the end.", no_args_is_help=True)
    for command in (start, status, show, answer, pause, extend, resume, finish, report):
        group.command()(command)
    app.add_typer(group, name="exam")


def start(
    minutes: Annotated[int | None, typer.Option("--minutes", min=1, max=1440, help="60 by default.")] = None,
    questions: Annotated[
        int | None, typer.Option("--questions", min=1, help="How many; as many as fit by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Draws the questions; by chance by default.")] = None,
    blueprint: Annotated[
        str | None, typer.Option("--blueprint", metavar="EXAM", help="Only questions of one exam, e.g. PMLE.")
    ] = None,
    pack: Annotated[Path | None, typer.Option("--pack", metavar="FILE", help="The instructor's pack.")] = None,
    code: Annotated[str, typer.Option("--code", help="The start code of your seat in the pack.")] = "",
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the clock. Answers may be changed until the end; hints, verdicts and practice wait until then."""
    from archlab.errors import UsageError

    exams = open_exams(lab)
    if pack is not None:
        if minutes or questions or seed is not None or blueprint:
            raise UsageError(
                "The pack says how long, what is asked and how it is drawn.", "Leave the other options out."
            )
        sitting = _start_pack(exams, pack, code, lab, quiet=as_json)
    else:
        sitting = exams.start(_terms(exams, minutes or 60, questions, seed, blueprint))
    if as_json:
        emit_json(_facts(sitting))
        return
    _show_status(exams, sitting)
    head = exams.book.verify().head
    console.print(f"\nGradebook's head at the start, for your instructor:\n[bold]{head}[/]", soft_wrap=True)


def status(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Time left, and which questions have an answer."""
    exams = open_exams(lab)
    sitting = exams.current()
    if as_json:
        emit_json(_facts(sitting))
    else:
        _show_status(exams, sitting)


def show(name: QuestionArgument, lab: LabOption = None) -> None:
    """One question of the exam."""
    exams = open_exams(lab)
    sitting, asked = exams.current(), exams.pack.question(name)
    title = f"{asked.title}  ·  {asked.kind.value}  ·  {asked.points} points  ·  {_clock(sitting)}"
    panel(question_markdown(asked), title, "blue")
    earlier = sitting.answers.get(name)
    if earlier:
        console.print(f"[dim]Your answer so far: {_given(earlier.answer)}[/]")


def answer(
    name: QuestionArgument,
    value: Annotated[
        str | None, typer.Argument(help="A key, keys separated by commas, or a number; nothing for a state question.")
    ] = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer, or change an answer. For a state question the lab as it stands is the answer."""
    exams = open_exams(lab)
    said = exams.answer(name, value if value is None else given(exams.pack.question(name), value))
    sitting = exams.current()
    if as_json:
        emit_json({"question": name, "message": said, "remaining_s": int(sitting.remaining.total_seconds())})
        return
    console.print(f"{said}   [dim]{_clock(sitting)}[/]")


def pause(code: CodeArgument, lab: LabOption = None) -> None:
    """Stop the clock with a code of the instructor's pack."""
    sitting = _turn(lab, code, "pause")
    minutes = sitting.clock[-1].minutes
    console.print(f"The clock stands, for at most {minutes} minutes. Go on with: archlab exam resume")


def extend(code: CodeArgument, lab: LabOption = None) -> None:
    """More time, with a code of the instructor's pack."""
    sitting = _turn(lab, code, "extend")
    console.print(f"{sitting.clock[-1].minutes} minutes more: {_clock(sitting)}.")


def resume(lab: LabOption = None) -> None:
    """Let a paused clock run again."""
    console.print(f"The clock runs: {_clock(open_exams(lab).resume())}.")


def finish(
    without_lab: Annotated[
        bool,
        typer.Option("--without-lab", help="Judge without a last picture of the lab, when it can't be brought up."),
    ] = False,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """End the exam and show the result."""
    exams = open_exams(lab)
    _report(exams, exams.finish(look=not without_lab), None, as_json)


def report(
    exam: Annotated[str | None, typer.Argument(metavar="[EXAM]", help="exam-1, …; the last one by default.")] = None,
    blueprint: Annotated[
        str | None, typer.Option("--blueprint", metavar="EXAM", help="Domains of one exam, e.g. PMLE.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="The explanations, with your lab's figures.")] = False,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """The result of a finished exam: questions, competencies, domains, and where to practise what."""
    from archlab.cli.results import show_explanations

    exams = open_exams(lab)
    sitting = exams.finished(exam)
    if explain:
        show_explanations(exams, sitting)
    else:
        _report(exams, sitting, blueprint, as_json)


def _terms(exams: Exams, minutes: int, count: int | None, seed: int | None, blueprint: str | None) -> Any:
    import secrets

    from archlab.grading import blueprints
    from archlab.grading.choosing import choose
    from archlab.grading.exams import Terms

    if blueprint:
        blueprints.by_domain(blueprints.load(), blueprint, [], [])
    drawn = secrets.randbelow(1_000_000) if seed is None else seed
    chosen = choose(exams.pack.questions, minutes=minutes, count=count, seed=drawn, exam=blueprint)
    return Terms(minutes, tuple(q.id for q in chosen), drawn)


def _show_status(exams: Exams, sitting: Sitting) -> None:
    rows = []
    for name in sitting.started.questions:
        asked, given = exams.pack.question(name), sitting.answers.get(name)
        shown = "[dim]open[/]" if given is None else _given(given.answer)
        rows.append((name, asked.title, asked.kind.value, asked.points, asked.minutes, shown))
    columns = ("question", "title", "kind", "points", "min", "your answer")
    console.print(
        table(f"{sitting.exam}: {_clock(sitting)}", columns, rows, right=("points", "min"), wrap=("your answer",))
    )
    console.print("\n[dim]archlab exam show ID · answer ID VALUE · finish      archlab quiz: one by one[/]")


def _given(answer: Any) -> str:
    if answer is None:
        return "the lab's state"
    return (
        ", ".join(answer) if isinstance(answer, list) else f"{answer:g}" if isinstance(answer, float) else str(answer)
    )


def _clock(sitting: Sitting) -> str:
    if not sitting.remaining:
        return "time is up: archlab exam finish"
    return f"{_length(sitting.remaining)} left{', paused' if sitting.paused else ''}"


def _length(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _facts(sitting: Sitting) -> dict[str, Any]:
    return {
        "exam": sitting.exam,
        "minutes": sitting.allowed.total_seconds() / 60,
        "used_s": int(sitting.used.total_seconds()),
        "remaining_s": int(sitting.remaining.total_seconds()),
        "paused": sitting.paused,
        "questions": {q: q in sitting.answers for q in sitting.started.questions},
        "selection_seed": sitting.started.selection_seed,
        "irregularities": sitting.irregularities,
    }


def _report(exams: Exams, sitting: Sitting, blueprint: str | None, as_json: bool) -> None:
    from archlab.cli.results import exam_facts, show_exam

    if as_json:
        emit_json(exam_facts(exams, sitting, blueprint))
    else:
        show_exam(exams, sitting, blueprint)


def _start_pack(exams: Exams, file: Path, code: str, lab: str | None, *, quiet: bool) -> Sitting:
    from rich.markup import escape

    from archlab.errors import ConflictError, UsageError
    from archlab.grading import packs
    from archlab.grading.signing import fingerprint
    from archlab.lab import open_lab

    if not code:
        raise UsageError("A pack is opened by the start code of your seat.", "Ask the instructor: --code CODE")
    pack, found = packs.read(file), open_lab(lab)
    if pack.scenario != found.identity.scenario:
        raise ConflictError(
            f"The pack is for scenario {pack.scenario}; lab {found.name} runs {found.identity.scenario}.",
            f"Make such a lab: archlab up {pack.scenario}",
        )
    terms = packs.terms(pack, code, exams.pack)
    packs.keep(pack, found.folder.root)
    sitting = exams.start(terms)
    if not quiet:
        console.print(f"[bold]{escape(pack.title)}[/], {terms.seat}, signed by key {fingerprint(pack.signing_key)}")
    return sitting


def _turn(lab: str | None, code: str, action: str) -> Sitting:
    from archlab.errors import ConflictError
    from archlab.grading import packs
    from archlab.lab import open_lab

    exams = open_exams(lab)
    started = exams.current().started
    if not started.pack:
        raise ConflictError(
            f"{started.exam} was started without a pack, so no instructor could give out codes for it.",
            "Nobody can stop or lengthen its clock.",
        )
    pack = packs.kept(open_lab(lab).folder.root, started.pack)
    return exams.turn(packs.turn(pack, started.seat, action, code))
