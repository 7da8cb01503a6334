"""Results as tables: questions, competencies, domains of exams, and where to practise what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from archlab.cli.console import console, table
from archlab.cli.grading import coloured

if TYPE_CHECKING:
    from archlab.grading.blueprints import Item, Practised, Score
    from archlab.grading.exams import Exams
    from archlab.grading.sittings import Sitting
    from archlab.spec.blueprint import Blueprints
    from archlab.spec.grading import Question

_TONES = {"strength": "green", "between": "yellow", "gap": "red", "not tried": "dim"}
_KNOWN_HOW = {
    "vendor": "read in the vendor's own text",
    "mirror": "read in a copy of the vendor's text",
    "secondhand": "as reported by others",
}
_NO_PERCENTAGE = (
    "This is what you practised here, question by question. It is no forecast of an exam: nobody measured how "
    "one leads to the other."
)


def show_exam(exams: Exams, sitting: Sitting, blueprint: str | None) -> None:
    """The result of a finished exam."""
    marks = _marks(sitting)
    rows = [
        (
            m.question,
            coloured(m.verdict.value) if m.verdict else "[dim]not answered[/]",
            f"{m.points:g}/{m.possible}" if m.counts else "left out",
            _minutes(sitting, m.question),
            "" if m.verdict is None else m.message,
        )
        for m in marks
    ]
    columns = ("question", "verdict", "points", "min", "what was seen")
    console.print(table(_title(sitting), columns, rows, right=("points", "min"), wrap=("what was seen",)))
    counted = [m for m in marks if m.counts]
    console.print(f"\n[bold]{sum(m.points for m in counted):g} of {sum(m.possible for m in counted)} points[/]")
    for line in sitting.irregularities:
        console.print(f"[yellow]Clock: {line}[/]")
    show_items(exam_items(exams, sitting), exams.pack.questions, blueprint)


def show_explanations(exams: Exams, sitting: Sitting) -> None:
    """For every question that was judged: what it came to, with the learner's own figures."""
    from archlab.cli.grading import COLOURS, panel
    from archlab.grading.marking import explanation

    for mark in _marks(sitting):
        text = explanation(exams.pack, exams.store.get, mark)
        if text:
            verdict = mark.verdict.value.replace("_", " ")
            panel(text, f"{mark.question}  ·  {verdict}", COLOURS.get(mark.verdict.value, "red"))


def exam_items(exams: Exams, sitting: Sitting) -> list[Item]:
    """The exam's questions with what they earned; those left out of the sum are left out."""
    from archlab.grading.blueprints import Item

    return [
        Item(exams.pack.question(m.question), m.verdict is not None, m.points, m.possible)
        for m in _marks(sitting)
        if m.counts
    ]


def exam_facts(exams: Exams, sitting: Sitting, blueprint: str | None) -> dict[str, Any]:
    """The same for scripts."""
    seconds = {name: int(span.total_seconds()) for name, span in sitting.spent.items()}
    return {
        "exam": sitting.exam,
        "used_s": int(sitting.used.total_seconds()),
        "allowed_s": int(sitting.allowed.total_seconds()),
        "irregularities": sitting.irregularities,
        "questions": [m.model_dump(mode="json") | {"seconds": seconds.get(m.question)} for m in _marks(sitting)],
        **item_facts(exam_items(exams, sitting), exams.pack.questions, blueprint),
    }


def show_items(items: Sequence[Item], questions: Sequence[Question], blueprint: str | None) -> None:
    """Competencies with strengths and gaps, then the domains of exams; `questions`: all that the scenario has."""
    from archlab.grading import blueprints

    known = blueprints.load()
    rows = [
        (_named(known, name), *_cells(score), _where(known, name, score))
        for name, score in blueprints.by_competency(items).items()
    ]
    columns = ("competency", "tried", "points", "", "practise with")
    console.print("")
    console.print(table("By competency", columns, rows, right=("tried", "points"), wrap=("practise with",)))
    for exam in (blueprint,) if blueprint else blueprints.exams_of(known, items):
        _show_exam(known, exam, blueprints.by_domain(known, exam, items, questions))
    console.print(f"\n[dim]{_NO_PERCENTAGE}[/]")


def item_facts(items: Sequence[Item], questions: Sequence[Question], blueprint: str | None) -> dict[str, Any]:
    """The same for scripts."""
    from archlab.grading import blueprints

    known = blueprints.load()
    return {
        "competencies": {n: _score_facts(s) for n, s in blueprints.by_competency(items).items()},
        "domains": {
            exam: {
                p.id: _score_facts(p.score) | {"practicable": p.here}
                for p in blueprints.by_domain(known, exam, items, questions)
            }
            for exam in ((blueprint,) if blueprint else blueprints.exams_of(known, items))
        },
    }


def _show_exam(known: Blueprints, exam: str, found: Sequence[Practised]) -> None:
    about = known.exams[exam]
    rows = [
        (f"{p.id}  {p.domain.name}", f"{p.domain.weight} %" if p.domain.weight else "", *_cells(p.score))
        for p in found
        if p.score.items
    ]
    console.print(f"\n[italic]{exam}: {about.vendor}, {about.title}[/]")
    console.print(f"[dim]Blueprint as of {known.as_of}, {_KNOWN_HOW[about.evidence]}.[/]")
    if rows:
        console.print(table("", ("domain", "weight", "tried", "points", ""), rows, right=("weight", "tried", "points")))
    later = [f"{p.id} {p.domain.name}" for p in found if not p.score.items and p.here]
    absent = [f"{p.id} {p.domain.name}" for p in found if not p.here]
    if later:
        console.print(f"[dim]Not asked this time: {'; '.join(later)}.[/]")
    if absent:
        console.print(f"[dim]Can't be practised in this scenario: {'; '.join(absent)}.[/]")


def _cells(score: Score) -> tuple[str, str, str]:
    standing = score.standing
    tried = f"{score.answered} of {len(score.items)}"
    return tried, f"{score.points:g}/{score.possible:g}", f"[{_TONES[standing]}]{standing}[/]"


def _named(known: Blueprints, name: str) -> str:
    return f"{name}  {known.competencies[name].name}" if name in known.competencies else name


def _where(known: Blueprints, name: str, score: Score) -> str:
    """Questions that were not answered in full, and commands."""
    if score.standing == "strength":
        return ""
    missed = [i.question.id for i in score.items if i.points < i.possible]
    commands = [f"archlab {c}" for c in known.competencies[name].practise] if name in known.competencies else []
    return ", ".join(missed + commands)


def _score_facts(score: Score) -> dict[str, Any]:
    return {
        "questions": [i.question.id for i in score.items],
        "tried": score.answered,
        "points": score.points,
        "possible": score.possible,
        "standing": score.standing,
    }


def _marks(sitting: Sitting) -> Any:
    return sitting.finished.marks if sitting.finished else ()


def _title(sitting: Sitting) -> str:
    used, allowed = sitting.used.total_seconds() / 60, sitting.allowed.total_seconds() / 60
    return f"{sitting.exam}, {sitting.started.wall_time:%d %b %Y}: {used:.0f} of {allowed:.0f} minutes"


def _minutes(sitting: Sitting, question: str) -> str:
    return f"{sitting.spent[question].total_seconds() / 60:.1f}" if question in sitting.spent else ""
