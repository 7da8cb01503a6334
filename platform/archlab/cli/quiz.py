"""`archlab quiz`: one question at a time in the terminal, in practice or in a running exam."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import LabOption, console
from archlab.cli.grading import open_exams, open_practice

if TYPE_CHECKING:
    from archlab.cli.quiz_sessions import Session
    from archlab.grading.place import Place


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(quiz)


def quiz(
    question: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Begin there; by default where you stopped.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Ask line by line, as when input is no terminal.")] = False,
    lab: LabOption = None,
) -> None:
    """One question at a time: choices by keys, hints, timer. Leave at any time; the same command goes on there."""
    from archlab.cli.screen import can_draw
    from archlab.errors import UserError
    from archlab.grading.place import Place
    from archlab.lab import open_lab

    session = _session(lab)
    place = Place(open_lab(lab).folder.root / "quiz.json", session.name)
    names = [q.id for q in session.questions]
    if question is not None and question not in names:
        open_practice(lab).pack.question(question)
        raise UserError(f"{question} is not asked in {session.name}.", f"Its questions: {', '.join(names)}.")
    at = names.index(question) if question else place.index(names)
    if plain or not can_draw():
        from archlab.cli.quiz_plain import ask_plainly

        ask_plainly(session, place, at)
    else:
        _draw(session, place, at)
    _farewell(session)


def _session(lab: str | None) -> Session:
    """The running exam's, or else practice."""
    from archlab.cli.quiz_sessions import ExamSession, PracticeSession
    from archlab.grading import sittings

    exams = open_exams(lab)
    if sittings.current(exams.book.entries(), exams.book.now()) is not None:
        return ExamSession(exams)
    return PracticeSession(open_practice(lab))


def _draw(session: Session, place: Place, at: int) -> None:
    from archlab.cli.keys import Keyboard
    from archlab.cli.quiz_pages import Quiz
    from archlab.cli.screen import Screen, wants_colour

    screen = Screen(colour=wants_colour())
    with screen.shown(), Keyboard(sys.stdin.fileno()) as keyboard:
        walk = Quiz(session, place, screen, at)
        walk.draw()
        while not walk.left:
            key = keyboard.read(max(0.05, 1 - time.time() % 1))
            if key is not None:
                walk.press(key)
            walk.draw()


def _farewell(session: Session) -> None:
    marks = session.marks()
    if session.name == "practice":
        right = sum(m == "correct" for m in marks)
        console.print(
            f"{right} of {len(marks)} questions are right. Your place is kept: [bold]archlab quiz[/] goes on."
        )
    else:
        answered = sum(bool(m) for m in marks)
        console.print(
            f"{answered} of {len(marks)} answered; the clock of {session.name} runs on. "
            "[bold]archlab quiz[/] goes on, [bold]archlab exam finish[/] ends it."
        )
