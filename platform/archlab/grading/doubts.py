"""What an instructor has to look at in a hand-in: each doubt is one sentence that names what was found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from archlab.errors import UserError
from archlab.grading.exams import Terms
from archlab.grading.handin import Received
from archlab.grading.sittings import Sitting
from archlab.spec.gradebook import Attempt, Entry, ExamClock, ExamFinished, ExamStarted, Mark
from archlab.spec.pack import Anchor

TAKEN_BEFORE = timedelta(minutes=5)
"""The first picture is taken just before the clock starts; older ones are of another time."""


def of_chain(received: Received) -> list[str]:
    """Chain and signature."""
    doubts = [f"The gradebook is broken: {received.check.fault}"] if received.check.fault else []
    if not received.signed:
        doubts.append("The hand-in is not signed by the gradebook's key, or names another head than the gradebook has.")
    return doubts


def of_anchors(received: Received, pack: str, anchors: Sequence[Anchor]) -> list[str]:
    """A head noted earlier has to be in the chain still, and a learner sits one pack (a digest) with one key."""
    heads = {e.sequence: e.hash for e in received.entries}
    doubts = [
        f"The head noted on {anchor.noted:%Y-%m-%d %H:%M}Z (entry {anchor.sequence}) is not in this gradebook: "
        "it was cut off or written anew."
        for anchor in anchors
        if anchor.key == received.about.key and heads.get(anchor.sequence) != anchor.head
    ]
    own = {a.key for a in anchors if (a.learner, a.pack) == (received.about.learner, pack)}
    if own - {received.about.key}:
        doubts.append(
            "This learner handed in for this pack before, signed by another key: another lab, or a new start."
        )
    return doubts


def of_start(started: ExamStarted, terms: Terms) -> list[str]:
    """What the gradebook says was sat, against what the seat is."""
    doubts = []
    if started.variant.seed != terms.seed:
        doubts.append(f"The lab has seed {started.variant.seed}; the seat has {terms.seed}.")
    if started.questions != terms.questions:
        doubts.append("Other questions were asked than the seat draws; the seat's are judged.")
    if started.minutes != terms.minutes:
        doubts.append(f"The clock was set to {started.minutes} minutes; the pack gives {terms.minutes}, which count.")
    return doubts


def of_turns(refused: Sequence[ExamClock]) -> list[str]:
    """Pauses and extensions that the pack has no code for."""
    return [
        f"The clock was turned ({t.action}, {t.minutes} minutes) without a code of this pack; that does not count."
        for t in refused
    ]


def of_sitting(sitting: Sitting) -> list[str]:
    """Clocks, late answers, the end."""
    doubts = [f"Clock: {line}" for line in sitting.irregularities]
    if sitting.late:
        doubts.append(f"{sitting.late} answers were recorded after time was up; they don't count.")
    if sitting.finished is None:
        doubts.append("The exam was not finished; what was answered in time counts.")
    return doubts


def of_practice(entries: Sequence[Entry], started: ExamStarted, questions: Sequence[str]) -> list[str]:
    """Questions of the exam that this very lab had judged before."""
    earlier = entries[: started.sequence - 1]
    judged = {e.question for e in earlier if isinstance(e, Attempt)}
    judged |= {m.question for e in earlier if isinstance(e, ExamFinished) for m in e.marks}
    known = sorted(judged & set(questions))
    return [f"Before the exam this lab had judged {', '.join(known)}."] if known else []


def of_evidence(received: Received, sitting: Sitting) -> list[str]:
    """Every picture must be of the exam's lab, taken while it ran."""
    doubts: list[str] = []
    earliest = sitting.started.wall_time - TAKEN_BEFORE
    for sha256 in dict.fromkeys(sitting.pictures):
        try:
            evidence = received.get(sha256)
        except UserError as error:
            doubts.append(str(error))
            continue
        if evidence.variant != sitting.started.variant:
            doubts.append(f"The evidence {sha256[:12]} is of another lab: seed {evidence.variant.seed}.")
        if evidence.taken < earliest:
            doubts.append(f"The evidence {sha256[:12]} was taken on {evidence.taken:%Y-%m-%d %H:%M}Z, before the exam.")
    return doubts


def of_marks(sitting: Sitting, judged: Sequence[Mark]) -> list[str]:
    """What is left out, and where the learner's own gradebook says something else than what is judged here."""
    said = {m.question: m for m in sitting.finished.marks} if sitting.finished else {}
    left_out = [f"{m.question} is left out: {m.message}" for m in judged if not m.counts]
    return left_out + [
        f"{mark.question}: the gradebook says {claimed.points:g} points, judged here {mark.points:g}."
        for mark in judged
        if (claimed := said.get(mark.question)) is not None and abs(claimed.points - mark.points) > 0.005
    ]
