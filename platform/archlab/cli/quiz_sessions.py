"""What a quiz asks of practice and of an exam: the same screens, other rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from archlab.grading.answers import shown
from archlab.grading.exams import Exams
from archlab.grading.practice import Outcome, Practice
from archlab.grading.rules import file_of, read
from archlab.grading.scoring import Standing, rule
from archlab.spec.grading import Hint, Question, QuestionKind


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an answer, as Markdown."""

    title: str
    body: str
    verdict: str
    """A verdict, `forecast` or `recorded`."""
    settled: bool
    """Nothing more to do here: on to the next question."""


class Session(Protocol):
    """One way of going through questions."""

    name: str

    @property
    def questions(self) -> Sequence[Question]:
        """In order."""

    def marks(self) -> Sequence[str]:
        """Per question: a verdict, `forecast`, `answered` or empty."""

    def earlier(self, question: Question) -> str:
        """An answer already given that the draft starts from."""

    def rule_file(self, question: Question) -> Path:
        """Where the rule that answers a question of kind rego is looked for."""

    def rules(self, question: Question) -> str:
        """What an answer can earn."""

    def hints(self, question: Question) -> Sequence[Hint]:
        """Those taken."""

    def next_hint(self, question: Question) -> str:
        """Its price; empty when there is none to take."""

    def take_hint(self, question: Question) -> None:
        """Pay and read it."""

    def submit(self, question: Question, raw: str) -> Result:
        """Give an answer; for a state, look at the lab."""

    def check(self, question: Question) -> Result:
        """Look at the lab again, for a state or a forecast."""

    def timer(self, question: Question, shown_s: float) -> str:
        """The time, as the head shows it."""

    def over(self) -> str:
        """Why no further answer is taken; empty while they are."""


class PracticeSession:
    """Feedback at once, points that decay, hints at a price."""

    name = "practice"

    def __init__(self, practice: Practice) -> None:
        self._practice = practice

    @property
    def questions(self) -> Sequence[Question]:
        """All of the scenario's."""
        return self._practice.pack.questions

    def marks(self) -> Sequence[str]:
        """The last verdict."""
        return [_mark(stand) for stand in self._practice.sheet()]

    def earlier(self, question: Question) -> str:
        """Only a forecast that still stands."""
        forecast = self._practice.standing(question.id).forecast
        return shown(forecast.answer) if forecast else ""

    def rule_file(self, question: Question) -> Path:
        """In the lab's folder."""
        return file_of(self._practice.lab, question)

    def rules(self, question: Question) -> str:
        """The rule, and what the next attempt can earn."""
        stand = self._practice.standing(question.id)
        return f"The next answer can earn {stand.attainable:g} of {question.points} points: {rule(question)}."

    def hints(self, question: Question) -> Sequence[Hint]:
        """Those paid for."""
        return self._practice.standing(question.id).taken

    def next_hint(self, question: Question) -> str:
        """Its price in percent; from the least to the most where the lab decides which one it is."""
        prices = sorted({h.cost_percent for h in self._practice.standing(question.id).next_hints})
        return (
            f"{' to '.join(str(p) for p in dict.fromkeys((prices[0], prices[-1])))} % of the points" if prices else ""
        )

    def take_hint(self, question: Question) -> None:
        """Recorded in the gradebook."""
        self._practice.hint(question.id)

    def submit(self, question: Question, raw: str) -> Result:
        """Judged at once."""
        if question.kind is QuestionKind.STATE:
            return self.check(question)
        text = read(self.rule_file(question)) if question.kind is QuestionKind.REGO else raw
        return self._result(self._practice.answer(question.id, text))

    def check(self, question: Question) -> Result:
        """Judge the state, or the forecast, as the lab stands."""
        return self._result(self._practice.grade([question.id])[0])

    def timer(self, question: Question, shown_s: float) -> str:
        """Time spent here against what is expected."""
        return f"{int(shown_s) // 60}:{int(shown_s) % 60:02} of {question.minutes} min"

    def over(self) -> str:
        """Practice does not end."""
        return ""

    def _result(self, outcome: Outcome) -> Result:
        verdict = outcome.verdict.value if outcome.verdict else "forecast"
        points = f", {outcome.points:g} of {outcome.question.points} points" if outcome.verdict else ""
        explained = f"\n\n---\n\n{outcome.explanation}" if outcome.explanation else ""
        settled = self._practice.standing(outcome.question.id).settled or verdict == "forecast"
        return Result(
            f"{verdict.replace('_', ' ').capitalize()}{points}", outcome.message + explained, verdict, settled
        )


class ExamSession:
    """Against the clock; nothing is judged before the end."""

    def __init__(self, exams: Exams) -> None:
        self._exams = exams
        self._sitting = exams.current()
        self.name = self._sitting.exam

    @property
    def questions(self) -> Sequence[Question]:
        """Those drawn."""
        return [self._exams.pack.question(name) for name in self._sitting.started.questions]

    def marks(self) -> Sequence[str]:
        """Answered or not."""
        return ["answered" if name in self._sitting.answers else "" for name in self._sitting.started.questions]

    def earlier(self, question: Question) -> str:
        """The answer that counts so far."""
        given = self._sitting.answers.get(question.id)
        if given is None or given.answer is None:
            return ""
        if question.kind is QuestionKind.REGO:
            return ""
        return ",".join(given.answer) if isinstance(given.answer, list) else str(given.answer)

    def rule_file(self, question: Question) -> Path:
        """In the lab's folder."""
        return file_of(self._exams.lab, question)

    def rules(self, question: Question) -> str:
        """What counts."""
        return f"{question.points} points. The last answer before the end counts."

    def hints(self, question: Question) -> Sequence[Hint]:
        """None in an exam."""
        return ()

    def next_hint(self, question: Question) -> str:
        """None in an exam."""
        return ""

    def take_hint(self, question: Question) -> None:
        """There is none."""

    def submit(self, question: Question, raw: str) -> Result:
        """Recorded, not judged."""
        text = read(self.rule_file(question)) if question.kind is QuestionKind.REGO else raw
        said = self._exams.answer(question.id, None if question.kind is QuestionKind.STATE else text)
        self._sitting = self._exams.current()
        return Result("Recorded", said.removeprefix("Recorded. "), "recorded", settled=True)

    def check(self, question: Question) -> Result:
        """Hand in the state; a forecast is judged after the end."""
        if question.kind is QuestionKind.STATE:
            return self.submit(question, "")
        return Result("Recorded", "A forecast is judged after the end of the exam.", "recorded", settled=False)

    def timer(self, question: Question, shown_s: float) -> str:
        """What is left."""
        self._sitting = self._exams.current()
        left = int(self._sitting.remaining.total_seconds())
        paused = " paused" if self._sitting.paused else ""
        return f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left{paused}"

    def over(self) -> str:
        """When time is up."""
        return "" if self._sitting.remaining else "Time is up. See how it went: archlab exam finish"


def _mark(stand: Standing) -> str:
    if stand.forecast is not None:
        return "forecast"
    return stand.last.verdict.value if stand.last else ""
