"""Everything in a gradebook judged again with today's graders, from stored evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archlab.errors import UserError
from archlab.grading import sittings
from archlab.grading.content import Pack
from archlab.grading.judging import judge
from archlab.grading.marking import Get, marks
from archlab.grading.scoring import standing
from archlab.grading.store import EvidenceStore
from archlab.spec.gradebook import Attempt, Entry, ExamFinished
from archlab.spec.grading import Verdict


@dataclass(frozen=True, slots=True)
class Regraded:
    """An attempt, or one question of an exam, then and now."""

    sequence: int
    question: str
    exam: str
    """Empty for practice."""
    then: Verdict | None
    then_points: float
    now: Verdict | None
    now_points: float
    message: str
    """Today's; for an attempt whose evidence is gone, why it can't be judged."""

    @property
    def agrees(self) -> bool:
        """Whether verdict and points are still the same."""
        return self.now is self.then and abs(self.now_points - self.then_points) < 0.005


def regrade(pack: Pack, store: EvidenceStore, entries: Sequence[Entry]) -> tuple[Regraded, ...]:
    """Judge every attempt and every finished exam again. Changes nothing."""
    found: list[Regraded] = []
    for number, entry in enumerate(entries):
        if isinstance(entry, Attempt):
            found.append(_attempt(pack, store.get, entry, entries[:number]))
        elif isinstance(entry, ExamFinished):
            found += exam(pack, store.get, entry, entries)
    return tuple(found)


def exam(pack: Pack, get: Get, finished: ExamFinished, entries: Sequence[Entry]) -> list[Regraded]:
    """Each question of a finished exam, then and now."""
    again = {m.question: m for m in marks(pack, get, sittings.read(entries, finished.exam))}
    return [
        Regraded(
            sequence=finished.sequence,
            question=then.question,
            exam=finished.exam,
            then=then.verdict,
            then_points=then.points,
            now=now.verdict,
            now_points=now.points,
            message=now.message,
        )
        for then in finished.marks
        if (now := again.get(then.question))
    ]


def _attempt(pack: Pack, get: Get, attempt: Attempt, before: Sequence[Entry]) -> Regraded:
    verdict: Verdict | None = None
    points, message = 0.0, ""
    try:
        question, evidence = pack.question(attempt.question), get(attempt.evidence)
    except UserError as error:
        message = str(error)
    else:
        judged = judge(pack, question, evidence, attempt.answer)
        verdict, message = judged.verdict, judged.message
        points = round(standing(question, before).attainable * judged.share, 2)
    return Regraded(attempt.sequence, attempt.question, "", attempt.verdict, attempt.points, verdict, points, message)
