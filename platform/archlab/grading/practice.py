"""Practice on the learner's honour: take an answer, collect evidence, judge, record."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlab.errors import ArchlabError, LabStateError, UserError
from archlab.grading import answers, moments
from archlab.grading import grade as judging
from archlab.grading.content import Pack
from archlab.grading.designs import Measure, measured
from archlab.grading.gradebook import Gradebook
from archlab.grading.judging import judge
from archlab.grading.regrading import Regraded, regrade
from archlab.grading.rules import with_trial
from archlab.grading.scoring import SPENDING, Standing, standing
from archlab.grading.sittings import refuse_while_sitting
from archlab.grading.store import EvidenceStore
from archlab.spec.gradebook import Attempt, Entry, Forecast, HintUse
from archlab.spec.grading import Evidence, Hint, Question, QuestionKind, Truth, Verdict

Collect = Callable[[], Evidence]
"""Takes a picture of the running lab; may take a second."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an answer."""

    question: Question
    verdict: Verdict | None
    """None when a forecast was committed: there is nothing to judge yet."""
    points: float
    message: str
    explanation: str = ""
    """Shown once the question is settled."""


def open_book(lab: Path, now: moments.Now = moments.now) -> Gradebook:
    """The gradebook in a lab's folder, signed by the lab's own key."""
    return Gradebook(lab / "gradebook.jsonl", lab / "keys" / "gradebook.pem", now)


class Practice:
    """One lab's questions, gradebook and evidence.

    Args:
        pack: the scenario's questions and truths.
        lab: the lab's folder; `gradebook.jsonl`, `evidence/` and `log/grading.log` are kept there.
        collect: takes the lab's evidence.
        measure: measures a submitted design.
    """

    def __init__(self, pack: Pack, lab: Path, collect: Collect, measure: Measure | None = None) -> None:
        self.pack = pack
        self.lab = lab
        self.book = open_book(lab)
        self.store = EvidenceStore(lab / "evidence")
        self._log = lab / "log" / "grading.log"
        self._collect = collect
        self._measure = measure

    def sheet(self) -> tuple[Standing, ...]:
        """Where the learner stands with every question."""
        entries = self.book.entries()
        return tuple(standing(q, entries) for q in self.pack.questions)

    def standing(self, question: str) -> Standing:
        """Where the learner stands with one question."""
        return standing(self.pack.question(question), self.book.entries())

    def hint(self, question: str) -> tuple[Hint, ...]:
        """Take the next hint that fits the lab (it costs) and show all taken; when none does, nothing is taken."""
        asked = self.pack.question(question)
        refuse_while_sitting(self.book.entries(), self.book.now())
        fitting = self._fitting(standing(asked, self.book.entries()))
        with self.book.writing() as book:
            refuse_while_sitting(book.entries, self.book.now())
            if fitting in standing(asked, book.entries).next_hints:
                number = asked.hints.index(fitting) + 1
                book.append(HintUse, question=asked.id, hint=number, cost_percent=fitting.cost_percent)
            stand = standing(asked, book.entries)
        return asked.hints if stand.settled else stand.taken

    def answer(self, question: str, raw: str) -> Outcome:
        """Judge an answer, or commit a forecast; what was decided is in the gradebook when this returns."""
        asked = self.pack.question(question)
        refuse_while_sitting(self.book.entries(), self.book.now())
        try:
            value = answers.parse(asked, raw)
        except answers.InvalidAnswerError as error:
            return Outcome(asked, Verdict.INVALID, 0.0, str(error))
        evidence = self._collect()
        try:
            value, evidence = measured(asked, value, evidence, self._measure)
        except UserError as error:
            return Outcome(asked, Verdict.INVALID, 0.0, str(error))
        except ArchlabError as error:
            return Outcome(asked, Verdict.PLATFORM_ERROR, 0.0, f"{error} No attempt is spent.")
        evidence = with_trial(self.pack, asked, value, evidence)
        if asked.kind is QuestionKind.PREDICT:
            return self._commit(asked, value, evidence)
        return self._judge(asked, value, evidence)

    def grade(self, questions: Sequence[str] = ()) -> tuple[Outcome, ...]:
        """Judge state questions as the lab stands now, and forecasts whose experiment has run."""
        wanted = [self.pack.question(q) for q in questions] or list(self.pack.questions)
        refuse_while_sitting(self.book.entries(), self.book.now())
        graded = [q for q in wanted if q.kind in (QuestionKind.STATE, QuestionKind.PREDICT)]
        if not graded:
            return ()
        evidence = self._collect()
        return tuple(self._grade(q, evidence) for q in graded)

    def regrade(self) -> tuple[Regraded, ...]:
        """Judge everything again from its stored evidence; the lab may be gone. Changes nothing."""
        return regrade(self.pack, self.store, self.book.entries())

    def _grade(self, question: Question, evidence: Evidence) -> Outcome:
        if question.kind is QuestionKind.STATE:
            return self._judge(question, None, evidence)
        stand = self.standing(question.id)
        if stand.forecast is None:
            return self._without_forecast(stand, evidence)
        return self._judge(question, stand.forecast.answer, evidence)

    def _without_forecast(self, stand: Standing, evidence: Evidence) -> Outcome:
        if stand.last is not None and stand.last.verdict in SPENDING:
            explanation = judge(self.pack, stand.question, evidence, stand.last.answer).explanation
            return Outcome(stand.question, stand.last.verdict, stand.last.points, stand.last.message, explanation)
        return Outcome(stand.question, Verdict.BLOCKED, 0.0, self._first_forecast(stand.question, evidence))

    def _first_forecast(self, question: Question, evidence: Evidence) -> str:
        if _has_run(self._truth(question, evidence)):
            return _RAN_BEFORE
        return f"Commit a forecast before the experiment: archlab answer {question.id} VALUE"

    def _commit(self, question: Question, value: Any, evidence: Evidence) -> Outcome:
        """Keep a forecast while the experiment has not run; say so openly when it has."""
        truth = self._truth(question, evidence)
        if isinstance(truth, judging.Grade):
            return self._recorded(question, value, evidence, truth)
        earlier = self.standing(question.id).forecast
        if _has_run(truth):
            message = _RAN_BEFORE
            if earlier is not None:
                message = (
                    f"The experiment has run, so your forecast of {answers.shown(earlier.answer)} stands. "
                    f"See what it is worth: archlab grade {question.id}"
                )
            return Outcome(question, Verdict.BLOCKED, 0.0, message)
        self.book.append(Forecast, question=question.id, answer=value, evidence=self.store.put(evidence))
        replaced = f" It replaces {answers.shown(earlier.answer)}." if earlier is not None else ""
        unit = f" {question.unit}" if question.unit else ""
        return Outcome(
            question, None, 0.0, f"Forecast committed: {answers.shown(value)}{unit}.{replaced} Next: {truth.blocked}"
        )

    def _judge(self, question: Question, value: Any, evidence: Evidence) -> Outcome:
        return self._recorded(question, value, evidence, judge(self.pack, question, evidence, value))

    def _recorded(self, question: Question, value: Any, evidence: Evidence, judged: judging.Grade) -> Outcome:
        """Keep an attempt unless it says what an earlier one said: then that one stands and nothing is spent."""
        if judged.trace:
            self._keep_trace(question, judged.trace)
        with self.book.writing() as book:
            refuse_while_sitting(book.entries, self.book.now())
            _refuse_other_seed(book.entries, evidence)
            stand = standing(question, book.entries)
            attempt = _repeats(stand, value, judged)
            if attempt is None:
                attempt = book.append(
                    Attempt,
                    question=question.id,
                    answer=value,
                    verdict=judged.verdict,
                    points=round(stand.attainable * judged.share, 2),
                    message=judged.message,
                    evidence=self.store.put(evidence),
                    variant=evidence.variant,
                    grader_version=self.pack.version,
                )
            stand = standing(question, book.entries)
        shown = stand.settled or (question.kind is QuestionKind.PREDICT and judged.verdict in SPENDING)
        points = max(attempt.points, stand.points) if question.kind is QuestionKind.STATE else attempt.points
        return Outcome(question, judged.verdict, points, judged.message, judged.explanation if shown else "")

    def _fitting(self, stand: Standing) -> Hint | None:
        """The first of the hints that may come next whose condition holds; the lab is looked at only when one asks."""
        evidence = self._collect() if any(h.when for h in stand.next_hints) else None
        return next((h for h in stand.next_hints if evidence is None or self._fits(stand.question, h, evidence)), None)

    def _fits(self, question: Question, hint: Hint, evidence: Evidence) -> bool:
        """A condition that can't be computed does not hold."""
        try:
            return not hint.when or bool(self.pack.hints[hint.when](evidence, evidence.variant))
        except Exception as error:  # noqa: BLE001 - content may fail in any way; another hint will do
            self._keep_trace(question, f"hint {hint.when}\n{''.join(traceback.format_exception(error))}")
            return False

    def _truth(self, question: Question, evidence: Evidence) -> Truth | judging.Grade:
        return judging.ask(self.pack.truth(question), evidence, evidence.variant)

    def _keep_trace(self, question: Question, trace: str) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a") as file:
            file.write(f"{question.id}\n{trace}\n")


_RAN_BEFORE = (
    "The experiment ran before a forecast was committed, and a forecast after the fact is none. "
    "`archlab reset` takes the lab back to its start; commit a forecast there first."
)


def _refuse_other_seed(entries: Sequence[Entry], evidence: Evidence) -> None:
    """One gradebook is of one variant: points of two can't be added up."""
    known = next((e.variant.seed for e in entries if isinstance(e, Attempt)), evidence.variant.seed)
    if known != evidence.variant.seed:
        raise LabStateError(
            f"Lab {evidence.lab} has seed {evidence.variant.seed}; its gradebook holds attempts at seed {known}.",
            "Keep that gradebook elsewhere, or make a lab of its seed.",
        )


def _has_run(truth: Truth | judging.Grade) -> bool:
    return isinstance(truth, Truth) and not truth.blocked


def _repeats(stand: Standing, value: Any, judged: judging.Grade) -> Attempt | None:
    """The earlier attempt that said the same, so that an answer sent again after a kill is not counted twice.

    A forecast that is still open is always judged anew.
    """
    if stand.question.kind is QuestionKind.STATE or judged.verdict not in SPENDING:
        candidates = [a for a in stand.attempts[-1:] if a.message == judged.message]
    else:
        candidates = [] if stand.forecast is not None else list(stand.attempts)
    same = [a for a in candidates if (a.answer, a.verdict) == (value, judged.verdict)]
    return same[-1] if same else None
