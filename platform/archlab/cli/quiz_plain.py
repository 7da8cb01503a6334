"""The quiz line by line: for pipes, screen readers and terminals that can't move the cursor."""

from __future__ import annotations

import sys

from archlab.cli.console import console
from archlab.cli.grading import COLOURS, panel, question_markdown
from archlab.cli.quiz_sessions import Result, Session
from archlab.errors import ArchlabError
from archlab.grading.place import Place
from archlab.spec.grading import Question, QuestionKind


def ask_plainly(session: Session, place: Place, at: int) -> None:
    """Go through the questions once, from `at` to the one before it, or until the input ends."""
    questions = list(session.questions)
    for number in (*range(at, len(questions)), *range(at)):
        question = questions[number]
        place.keep(question.id, "")
        panel(question_markdown(question), f"{number + 1}/{len(questions)}  ·  {question.title}", "blue")
        if not _ask(session, question):
            return


def _ask(session: Session, question: Question) -> bool:
    """Until the question is settled or skipped; False when the learner leaves."""
    while True:
        console.print(f"[dim]{session.timer(question, 0)}.  {session.rules(question)}[/]")
        console.print(f"{_prompt(session, question)}: ", end="")
        line = sys.stdin.readline()
        said = line.strip()
        if not line or said == "q":
            console.print("")
            return False
        if said == "s":
            return True
        if said == "?":
            _hint(session, question)
            continue
        result = _answer(session, question, said)
        if result is not None and result.settled:
            return True


def _answer(session: Session, question: Question, said: str) -> Result | None:
    if over := session.over():
        console.print(over)
        return None
    try:
        looks = question.kind is QuestionKind.STATE or (question.kind is QuestionKind.PREDICT and said == "r")
        result = session.check(question) if looks else session.submit(question, said)
    except ArchlabError as error:
        console.print(f"[yellow]{error}[/]")
        return None
    panel(result.body, result.title, COLOURS.get(result.verdict, "cyan"))
    return result


def _hint(session: Session, question: Question) -> None:
    if not session.next_hint(question):
        console.print("There is no further hint.")
        return
    before = len(session.hints(question))
    session.take_hint(question)
    if len(taken := session.hints(question)) == before:
        console.print("No hint fits your lab as it stands; nothing was charged.")
        return
    panel(taken[-1].text, "Hint", "cyan")


def _prompt(session: Session, question: Question) -> str:
    ways = {
        QuestionKind.CHOICE: "Key",
        QuestionKind.MULTI: "Keys, separated by commas",
        QuestionKind.ORDER: "Keys in order, separated by commas",
        QuestionKind.STATE: "Enter looks at the lab",
        QuestionKind.DESIGN: "lab: measure the changes that your lab has now (minutes)",
        QuestionKind.REGO: f"Enter hands in {session.rule_file(question)}",
        QuestionKind.PREDICT: "Forecast, or r to see whether it came true",
    }
    way = ways.get(question.kind, "Number")
    price = session.next_hint(question)
    hint = f", ? hint ({price})" if price else ""
    return f"{way}{hint}, s skips, q leaves"
