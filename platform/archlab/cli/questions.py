"""`archlab questions | question | hint | answer | grade`: practice on the learner's own lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table
from archlab.cli.grading import COLOURS, coloured, given, open_practice, panel, question_markdown

if TYPE_CHECKING:
    from archlab.grading.practice import Outcome, Practice
    from archlab.grading.scoring import Standing


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (questions, question, hint, answer, grade):
        app.command()(command)


def questions(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """The scenario's questions and where you stand with each."""
    _sheet(open_practice(lab), as_json)


def question(
    name: Annotated[str, typer.Argument(metavar="ID", help="See: archlab questions")],
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """One question with its options."""
    stand = open_practice(lab).standing(name)
    if as_json:
        emit_json(_facts(stand) | stand.question.model_dump(mode="json", include={"text", "options", "unit"}))
        return
    _show_question(stand)


def hint(
    name: Annotated[str, typer.Argument(metavar="ID", help="See: archlab questions")], lab: LabOption = None
) -> None:
    """The next hint; it costs a share of the question's points, and says how much."""
    practice = open_practice(lab)
    before = practice.standing(name)
    taken = practice.hint(name)
    if not before.question.hints:
        console.print("This question has no hints.")
    for number, one in enumerate(taken, 1):
        panel(one.text, f"Hint {number} of {len(before.question.hints)}  ·  costs {one.cost_percent} %", "cyan")
    stand = practice.standing(name)
    if stand.hints == before.hints and before.question.hints:
        why = " fits your lab as it stands" if before.next_hints else " was taken"
        console.print(f"[dim]No further hint{why}; nothing was charged.[/]")
    console.print(f"[dim]The next answer can earn {stand.attainable:g} of {stand.question.points} points.[/]")


def answer(
    name: Annotated[str, typer.Argument(metavar="ID", help="See: archlab questions")],
    value: Annotated[
        str,
        typer.Argument(
            help="A key, keys separated by commas, a number, or the file of a design or a rule; - is standard input."
        ),
    ],
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question; for a forecast, commit it before the experiment."""
    practice = open_practice(lab)
    outcome = practice.answer(name, given(practice.pack.question(name), value))
    if as_json:
        emit_json(_outcome_facts(outcome))
    else:
        _show_outcome(outcome)
        replayed = outcome.question.design is not None and not outcome.question.design.drill
        if replayed and outcome.verdict and outcome.verdict.value in COLOURS.keys() - {"invalid"}:
            from archlab.cli.designs import write_page

            console.print(f"[dim]The chart as a page: {write_page(practice, name)}[/]", soft_wrap=True)
    _leave(outcome)


def grade(
    names: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="All by default.")] = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the platform's state and committed forecasts as the lab stands now, and print the sheet."""
    practice = open_practice(lab)
    outcomes = practice.grade(names or [])
    if as_json:
        emit_json(
            {"verdicts": [_outcome_facts(o) for o in outcomes], "sheet": [_facts(stand) for stand in practice.sheet()]}
        )
    else:
        for outcome in outcomes:
            if names or outcome.verdict is None or outcome.verdict.value != "blocked":
                _show_outcome(outcome)
        _sheet(practice, as_json=False)
    for outcome in outcomes:
        _leave(outcome)


def _sheet(practice: Practice, as_json: bool) -> None:
    stands = practice.sheet()
    if as_json:
        emit_json([_facts(stand) for stand in stands])
        return
    rows = [
        (
            s.question.id,
            s.question.title,
            s.question.kind.value,
            s.question.difficulty,
            s.question.minutes,
            _state(s),
            f"{s.points:g}/{s.question.points}",
        )
        for s in stands
    ]
    columns = ("question", "title", "kind", "level", "min", "state", "points")
    console.print(table("Questions", columns, rows, right=("points", "min")))
    earned, possible = sum(s.points for s in stands), sum(s.question.points for s in stands)
    console.print(
        f"\n[bold]{earned:g} of {possible} points[/]   [dim]archlab question ID · hint ID · answer ID VALUE[/]"
    )


def _state(stand: Standing) -> str:
    if stand.forecast is not None:
        return "[cyan]forecast[/]"
    return coloured(stand.last.verdict.value) if stand.last is not None else "[dim]open[/]"


def _show_question(stand: Standing) -> None:
    asked = stand.question
    title = f"{asked.title}  ·  {asked.kind.value}  ·  {asked.points} points  ·  {asked.minutes} min"
    panel(question_markdown(asked), title, "blue")
    console.print(f"[dim]{_how(stand)}[/]")
    console.print(f"[dim]Competencies: {', '.join(asked.competencies)}   Exams: {', '.join(asked.domains)}[/]")


def _how(stand: Standing) -> str:
    from archlab.grading.scoring import rule

    asked = stand.question
    ways = {
        "choice": "KEY",
        "multi": "KEY,KEY   (earns (right − wrong) / all right ones)",
        "order": "KEY,KEY,...   (earns the share of pairs the right way round)",
        "numeric": f"NUMBER   (in {asked.unit}; within {asked.tolerance_percent or 0:g} %)",
        "design": "FILE   (YAML of changes; `lab` for those that your lab has now; takes minutes)",
        "rego": f"FILE.rego   (the rule {asked.rule}; always yes and always no earn nothing)",
        "predict": f"NUMBER   (in {asked.unit}; within {asked.tolerance_percent or 0:g} % of what will happen)",
    }
    if asked.kind.value == "predict" and asked.options:
        ways["predict"] = "KEY,KEY   (what will happen; earns (right − wrong) / all right ones)"
    how = f"archlab answer {asked.id} {ways[asked.kind.value]}" if asked.kind.value in ways else ""
    how = how or f"archlab grade {asked.id}   (as often as you like)"
    return (
        f"{how}\nThe next attempt can earn {stand.attainable:g}; hints: {stand.hints} of {len(asked.hints)} taken.\n"
        f"Points: {rule(asked)}."
    )


def _show_outcome(outcome: Outcome) -> None:
    verdict = outcome.verdict.value if outcome.verdict else "forecast"
    points = f"  ·  {outcome.points:g} of {outcome.question.points} points" if outcome.verdict else ""
    body = outcome.message + (f"\n\n---\n\n{outcome.explanation}" if outcome.explanation else "")
    title = f"{outcome.question.id}  ·  {verdict.replace('_', ' ')}{points}"
    panel(body, title, COLOURS.get(verdict, "cyan" if verdict == "forecast" else "red"))


def _facts(stand: Standing) -> dict[str, Any]:
    asked = stand.question
    return {
        "id": asked.id,
        "title": asked.title,
        "kind": asked.kind.value,
        "difficulty": asked.difficulty,
        "minutes": asked.minutes,
        "competencies": asked.competencies,
        "domains": asked.domains,
        "verdict": stand.last.verdict.value if stand.last else None,
        "forecast": stand.forecast.answer if stand.forecast else None,
        "attempts": stand.spent,
        "hints": stand.hints,
        "points": stand.points,
        "possible": asked.points,
        "attainable": stand.attainable,
    }


def _outcome_facts(outcome: Outcome) -> dict[str, Any]:
    return {
        "question": outcome.question.id,
        "verdict": outcome.verdict.value if outcome.verdict else None,
        "points": outcome.points,
        "message": outcome.message,
        "explanation": outcome.explanation,
    }


def _leave(outcome: Outcome) -> None:
    """Exit code 1 for an unreadable answer, 3 for our fault; a wrong answer is an answer."""
    codes = {"invalid": 1, "platform_error": 3}
    if outcome.verdict and (code := codes.get(outcome.verdict.value)):
        raise typer.Exit(code)
