"""What the commands around questions share: opening a lab's practice, showing Markdown and verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archlab.cli.console import console

if TYPE_CHECKING:
    from archlab.grading.content import Pack
    from archlab.grading.designs import Measure
    from archlab.grading.exams import Exams
    from archlab.grading.practice import Practice
    from archlab.lab import Lab
    from archlab.spec.experiments import DesignTrial
    from archlab.spec.grading import Evidence, Question
    from archlab.spec.scenario import Overrides

WIDTH = 100
MAX_READ = 50_000
"""Characters of an answer that are read from a file; more than any answer may have."""
COLOURS = {"correct": "green", "partial": "yellow", "incorrect": "red", "blocked": "cyan", "invalid": "magenta"}


def open_practice(name: str | None) -> Practice:
    """Questions and gradebook of a lab; its evidence is taken only when something is judged."""
    from archlab.grading.content import load
    from archlab.grading.practice import Practice
    from archlab.lab import open_lab

    found = open_lab(name)
    pack = load(found.content).told(found.scenario.knobs)
    return Practice(pack, found.folder.root, lambda: _collect(found), _measure(found, pack))


def open_exams(name: str | None) -> Exams:
    """The exams of a lab."""
    from archlab.grading.content import load
    from archlab.grading.exams import Exams
    from archlab.lab import open_lab

    found = open_lab(name)
    pack = load(found.content).told(found.scenario.knobs)
    return Exams(pack, found.folder.root, lambda: _collect(found), measure=_measure(found, pack))


def given(question: Question, value: str) -> str:
    """An answer as typed, from standard input for `-`; of a design or a rule, what is in the file of that name.

    Raises:
        UserError: there is no such file, or it is no text.
    """
    import sys
    from pathlib import Path

    from archlab.errors import UserError
    from archlab.grading.designs import PRESENT
    from archlab.spec.grading import QuestionKind

    kind = question.kind
    if value == "-":
        return sys.stdin.read(MAX_READ)
    if kind not in (QuestionKind.DESIGN, QuestionKind.REGO) or (kind is QuestionKind.DESIGN and value == PRESENT):
        return value
    try:
        with Path(value).open() as file:
            return file.read(MAX_READ)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        example = (
            f"a YAML file, or: archlab answer {question.id} {PRESENT}" if kind is QuestionKind.DESIGN else "a file"
        )
        raise UserError(f"{value} can't be read: {reason}.", f"Name {example}") from None


def question_markdown(asked: Question) -> str:
    """Text and options."""
    options = "\n".join(f"- `{o.key}`  {o.text if o.text != o.key else ''}" for o in asked.options)
    return f"{asked.text}\n\n{options}"


def panel(markdown: str, title: str, colour: str) -> None:
    """Markdown in a frame."""
    from rich.markdown import Markdown
    from rich.panel import Panel

    width = min(WIDTH, console.width)
    console.print(
        Panel(Markdown(markdown), title=title, title_align="left", border_style=colour, width=width, padding=1)
    )


def coloured(verdict: str) -> str:
    """A verdict in its colour, as console markup."""
    return f"[{COLOURS.get(verdict, 'red')}]{verdict.replace('_', ' ')}[/]" if verdict else ""


def _collect(lab: Lab) -> Evidence:
    from archlab.lab.picture import picture

    return picture(lab)


def _measure(lab: Lab, pack: Pack) -> Measure:
    """With its progress on standard error, and only then its imports."""

    def measure(question: Question, design: Overrides) -> DesignTrial:
        from archlab.cli.progress import Steps
        from archlab.grading.measuring import measure_in

        with Steps("Measuring designs") as steps:
            return measure_in(lab, pack, steps)(question, design)

    return measure
