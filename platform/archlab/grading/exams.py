"""Exams: a clock, answers that may be changed until the end, no verdict before it. All of it is in the gradebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlab.errors import ConflictError, UserError
from archlab.grading import answers, moments, sittings
from archlab.grading import grade as judging
from archlab.grading.content import Pack
from archlab.grading.designs import Measure, measured
from archlab.grading.gradebook import Gradebook, Writing
from archlab.grading.marking import marks
from archlab.grading.practice import Collect, open_book
from archlab.grading.rules import with_trial
from archlab.grading.sittings import Sitting
from archlab.grading.store import EvidenceStore
from archlab.spec.gradebook import ExamAnswered, ExamClock, ExamFinished, ExamStarted
from archlab.spec.grading import Evidence, Question, QuestionKind, Truth


@dataclass(frozen=True, slots=True)
class Terms:
    """What an exam asks and how long it takes."""

    minutes: int
    questions: tuple[str, ...]
    selection_seed: int
    pack: str = ""
    """Digest of the instructor's pack."""
    seat: str = ""
    seed: int | None = None
    """The lab's seed that the pack asks for."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What an instructor's code does to the clock."""

    action: str
    minutes: int
    code: str


class Exams:
    """The exams of one lab.

    Args:
        pack: the scenario's questions and truths.
        lab: the lab's folder.
        collect: takes the lab's evidence.
        now: both clocks.
        measure: measures a submitted design.
    """

    def __init__(
        self,
        pack: Pack,
        lab: Path,
        collect: Collect,
        now: moments.Now = moments.now,
        measure: Measure | None = None,
    ) -> None:
        self.pack = pack
        self.lab = lab
        self.book: Gradebook = open_book(lab, now)
        self.store = EvidenceStore(lab / "evidence")
        self._collect = collect
        self._measure = measure

    def current(self) -> Sitting:
        """The exam that is running or waits to be finished.

        Raises:
            ConflictError: there is none.
        """
        found = sittings.current(self.book.entries(), self.book.now())
        if found is None:
            raise ConflictError("No exam is running.", "Start one with: archlab exam start --minutes 60")
        return found

    def finished(self, exam: str | None = None) -> Sitting:
        """A finished exam, by default the last one.

        Raises:
            ConflictError: it is not finished.
            NotFoundError: there is none.
        """
        entries = self.book.entries()
        found = sittings.read(entries, exam or next(reversed(sittings.names(entries)), "exam-1"))
        if found.finished is None:
            raise ConflictError(f"{found.exam} is not finished: there is no result yet.", "End it: archlab exam finish")
        return found

    def start(self, terms: Terms) -> Sitting:
        """Take a picture of the lab, then start the clock.

        Raises:
            ConflictError: an exam is running already, or the lab is of another seed than the pack asks for.
        """
        sittings.refuse_while_sitting(self.book.entries(), self.book.now())
        for name in terms.questions:
            self.pack.question(name)
        evidence = self._collect()
        _refuse_other_seed(terms, evidence)
        digest = self.store.put(evidence)
        with self.book.writing() as book:
            sittings.refuse_while_sitting(book.entries, self.book.now())
            started = book.append(
                ExamStarted,
                exam=f"exam-{len(sittings.names(book.entries)) + 1}",
                minutes=terms.minutes,
                questions=terms.questions,
                selection_seed=terms.selection_seed,
                variant=evidence.variant,
                evidence=digest,
                pack=terms.pack,
                seat=terms.seat,
            )
        return self._at_now(book, started.exam)

    def answer(self, question: str, raw: str | None) -> str:
        """Record an answer (None: the lab's state) with the lab as it stands; what to say to that, never a verdict.

        Raises:
            UserError: not one of the exam's questions, unreadable, or no longer in time.
        """
        asked = self._asked(self.current(), question)
        value = _value(asked, raw)
        value, evidence = measured(asked, value, self._collect(), self._measure)
        evidence = with_trial(self.pack, asked, value, evidence)
        truth = judging.ask(self.pack.truth(asked), evidence, evidence.variant)
        with self.book.writing() as book:
            sitting = self._at_now(book, self.current().exam)
            _refuse_when_stopped(sitting)
            if asked.kind is QuestionKind.PREDICT:
                _refuse_after_the_fact(truth, sitting, asked)
            changed = question in sitting.answers
            digest = self.store.put(evidence)
            book.append(ExamAnswered, exam=sitting.exam, question=question, answer=value, evidence=digest)
        return _said(asked, truth, changed=changed)

    def turn(self, turn: Turn) -> Sitting:
        """Do what an instructor's code says; each code works once.

        Raises:
            ConflictError: it was used before, time is up, or the clock stands already.
        """
        with self.book.writing() as book:
            sitting = self._at_now(book, self.current().exam)
            if any(t.code == turn.code for t in sitting.clock):
                raise ConflictError("This code was used already; each works once.")
            if turn.action == "pause":
                _refuse_when_stopped(sitting)
            self._clock(book, sitting, turn)
        return self._at_now(book, sitting.exam)

    def resume(self) -> Sitting:
        """Let a paused clock run again.

        Raises:
            ConflictError: it runs.
        """
        with self.book.writing() as book:
            sitting = self._at_now(book, self.current().exam)
            if not sitting.paused:
                raise ConflictError("The clock runs; there is no pause to end.")
            self._clock(book, sitting, Turn("resume", 0, ""))
        return self._at_now(book, sitting.exam)

    def finish(self, *, look: bool = True) -> Sitting:
        """End the exam and judge it; doing it twice, or after a kill, gives the one result.

        Args:
            look: take a last picture of the lab, if there is time left.
        """
        sitting = self.current()
        digest = self.store.put(self._collect()) if look and not sitting.over else ""
        with self.book.writing() as book:
            now = self._at_now(book, sitting.exam)
            if now.finished is None:
                in_time = digest if not now.over else ""
                seen = sittings.with_picture(now, in_time)
                book.append(
                    ExamFinished,
                    exam=sitting.exam,
                    evidence=in_time,
                    marks=marks(self.pack, self.store.get, seen),
                    grader_version=self.pack.version,
                )
        return self.finished(sitting.exam)

    def _clock(self, book: Writing, sitting: Sitting, turn: Turn) -> None:
        book.append(ExamClock, exam=sitting.exam, action=turn.action, minutes=turn.minutes, code=turn.code)

    def _at_now(self, book: Writing, exam: str) -> Sitting:
        return sittings.read(book.entries, exam, self.book.now())

    def _asked(self, sitting: Sitting, question: str) -> Question:
        _refuse_when_stopped(sitting)
        asked = self.pack.question(question)
        if question not in sitting.started.questions:
            raise UserError(f"{question} is not asked in {sitting.exam}.", "Its questions: archlab exam status")
        return asked


def _value(question: Question, raw: str | None) -> Any:
    if question.kind is not QuestionKind.STATE:
        if raw is None:
            raise answers.InvalidAnswerError("An answer is missing.", f"archlab exam answer {question.id} VALUE")
        return answers.parse(question, raw)
    if raw is not None:
        raise answers.InvalidAnswerError(
            f"{question.id} is answered by the platform's state, not by a value.",
            f"Bring the lab there, then: archlab exam answer {question.id}",
        )
    return None


def _said(question: Question, truth: Truth | judging.Grade, *, changed: bool) -> str:
    """What may be said before the end: whether it can be judged at all, never how."""
    done = "Your earlier answer is replaced." if changed else "Recorded."
    if isinstance(truth, judging.Grade):
        return f"{done} It can't be judged by the lab as it is: this is our fault, and the question will be left out."
    if truth.blocked and question.kind is not QuestionKind.PREDICT:
        return f"{done} As the lab stands it can't be judged: {truth.blocked} Then answer again."
    if question.kind is QuestionKind.PREDICT:
        return f"{done} It will be judged by what happens. Next: {truth.blocked}"
    return f"{done} You may change it until the end."


def _refuse_when_stopped(sitting: Sitting) -> None:
    if sitting.over:
        raise ConflictError(
            f"Time is up: {sitting.exam} takes no further answers.", "See the result: archlab exam finish"
        )
    if sitting.paused:
        raise ConflictError(f"{sitting.exam} is paused.", "Go on with: archlab exam resume")


def _refuse_after_the_fact(truth: Truth | judging.Grade, sitting: Sitting, question: Question) -> None:
    if isinstance(truth, Truth) and not truth.blocked:
        earlier = sitting.answers.get(question.id)
        stands = "A forecast after the fact is none."
        if earlier:
            stands = f"Your forecast of {answers.shown(earlier.answer)} stands."
        raise ConflictError(f"The experiment has run. {stands}")


def _refuse_other_seed(terms: Terms, evidence: Evidence) -> None:
    if terms.seed is not None and evidence.variant.seed != terms.seed:
        raise ConflictError(
            f"Lab {evidence.lab} has seed {evidence.variant.seed}; your seat has seed {terms.seed}.",
            f"Make the lab of your seat: archlab up {evidence.scenario.name} --lab seat --seed {terms.seed}",
        )
