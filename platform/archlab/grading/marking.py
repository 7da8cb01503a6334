"""The result of an exam, from its lines and the stored evidence alone: what `finish`, regrading and packs share."""

from __future__ import annotations

from collections.abc import Callable

from archlab.errors import UserError
from archlab.grading import grade as judging
from archlab.grading.content import Pack
from archlab.grading.judging import judge
from archlab.grading.scoring import SPENDING
from archlab.grading.sittings import Sitting
from archlab.spec.gradebook import Mark
from archlab.spec.grading import Evidence, Question, QuestionKind, Verdict

Get = Callable[[str], Evidence]
"""Evidence by its digest."""


def marks(pack: Pack, get: Get, sitting: Sitting) -> tuple[Mark, ...]:
    """What each question earned, in the order of the exam."""
    return tuple(_mark(pack, get, sitting, name) for name in sitting.started.questions)


def explanation(pack: Pack, get: Get, mark: Mark) -> str:
    """A judged question's explanation with the learner's own figures; empty when there is none to give."""
    if not mark.evidence or mark.verdict not in SPENDING:
        return ""
    try:
        question, evidence = pack.question(mark.question), get(mark.evidence)
    except UserError:
        return ""
    truth = judging.ask(pack.truth(question), evidence, evidence.variant)
    return "" if isinstance(truth, judging.Grade) else judging.explain(question.explanation, truth.facts)


def _mark(pack: Pack, get: Get, sitting: Sitting, name: str) -> Mark:
    try:
        question = pack.question(name)
    except UserError as error:
        return Mark(question=name, verdict=None, points=0, possible=0, counts=False, message=str(error))
    picture = _picture(question, sitting)
    if picture is None:
        message = "Not answered."
        return Mark(question=name, verdict=None, points=0, possible=question.points, counts=True, message=message)
    answered = sitting.answers.get(name)
    try:
        evidence = get(picture)
    except UserError as error:
        judged = judging.Grade(Verdict.PLATFORM_ERROR, 0.0, str(error), counts=False)
    else:
        judged = judge(pack, question, evidence, answered.answer if answered else None)
    return Mark(
        question=name,
        verdict=judged.verdict,
        points=round(question.points * judged.share, 2),
        possible=question.points,
        counts=judged.counts,
        message=judged.message,
        evidence=picture,
    )


def _picture(question: Question, sitting: Sitting) -> str | None:
    """Which evidence judges a question; None when there is nothing to judge.

    An answer is judged by the lab as it was then; a forecast by the last picture in time, for its
    experiment comes later; a state by the picture taken when it was handed in, or else by the last one in time.
    """
    answered = sitting.answers.get(question.id)
    last = sitting.pictures[-1]
    if question.kind is QuestionKind.STATE:
        return answered.evidence if answered else last
    if answered is None:
        return None
    return last if question.kind is QuestionKind.PREDICT else answered.evidence
