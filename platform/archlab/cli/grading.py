"""What the commands around questions share: opening a lab's practice, showing Markdown and verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archlab.cli.console import console

if TYPE_CHECKING:
    from archlab.grading.exams import Exams
    from archlab.grading.practice import Practice
    from archlab.lab import Lab
    from archlab.spec.grading import Evidence, Question

WIDTH = 100
COLOURS = {"correct": "green", "partial": "yellow", "incorrect": "red", "blocked": "cyan", "invalid": "magenta"}


def open_practice(name: str | None) -> Practice:
    """Questions and gradebook of a lab; its evidence is taken only when something is judged."""
    from archlab.grading.content import load
    from archlab.grading.practice import Practice
    from archlab.lab import open_lab

    found = open_lab(name)
    return Practice(load(found.content), found.folder.root, lambda: _collect(found))


def open_exams(name: str | None) -> Exams:
    """The exams of a lab."""
    from archlab.grading.content import load
    from archlab.grading.exams import Exams
    from archlab.lab import open_lab

    found = open_lab(name)
    return Exams(load(found.content), found.folder.root, lambda: _collect(found))


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
    from archlab.lab.evidence import collect

    return collect(lab)
