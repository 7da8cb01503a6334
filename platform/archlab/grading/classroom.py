"""A class's hand-ins, judged on the instructor's machine from their evidence: nothing is taken from what they claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import fmean, median

from archlab.errors import SpecError, UserError
from archlab.grading import doubts, handin, packs, sittings
from archlab.grading.blueprints import Item
from archlab.grading.content import Pack
from archlab.grading.exams import Terms
from archlab.grading.handin import Received
from archlab.grading.marking import explanation, marks
from archlab.grading.sealing import code_digest
from archlab.grading.sittings import Sitting
from archlab.spec.gradebook import Entry, ExamClock, ExamStarted, Mark
from archlab.spec.pack import Anchor, Control, ExamPack, Hidden

LEAST_LEARNERS = 5
"""Below this many, how well a question separates can't be said."""


@dataclass(frozen=True, slots=True)
class Sat:
    """One learner's exam as judged here."""

    file: str
    learner: str
    seat: str
    sitting: Sitting | None
    marks: tuple[Mark, ...]
    items: tuple[Item, ...]
    explanations: tuple[str, ...]
    """Markdown, question by question."""
    doubts: tuple[str, ...]
    """What an instructor has to look at."""
    received: Received | None

    @property
    def points(self) -> float:
        """Of what counts."""
        return round(sum(m.points for m in self.marks if m.counts), 2)

    @property
    def possible(self) -> int:
        """Of what counts."""
        return sum(m.possible for m in self.marks if m.counts)


@dataclass(frozen=True, slots=True)
class ItemStatistics:
    """How one question did in a class."""

    question: str
    asked: int
    share: float | None
    """Mean share of its points: the classical difficulty, 1 is easy."""
    discrimination: float | None
    """Correlation of its share with the share of all other points; None where there are too few, or all alike."""
    seconds: float | None
    """Median time before its answers."""


def grade_folder(
    folder: Path, pack: ExamPack, hidden: Hidden, questions: Pack, anchors: Sequence[Anchor]
) -> tuple[Sat, ...]:
    """Judge every `*.zip` of a folder.

    Raises:
        SpecError: the folder has none.
    """
    files = sorted(folder.glob("*.zip"))
    if not files:
        raise SpecError(f"{folder} has no hand-in (*.zip).", "Learners make one with: archlab gradebook hand-in FILE")
    found = [grade(path, pack, hidden, questions, anchors) for path in files]
    keys = Counter(s.received.about.key for s in found if s.received)
    seats = Counter(s.seat for s in found if s.seat)
    return tuple(_with_doubts(s, _shared(s, keys, seats)) for s in found)


def grade(path: Path, pack: ExamPack, hidden: Hidden, questions: Pack, anchors: Sequence[Anchor]) -> Sat:
    """Judge one hand-in; what can't be read or judged becomes a doubt, never an error."""
    try:
        return _judged(path.name, handin.read(path), pack, hidden, questions, anchors)
    except (UserError, OSError) as error:
        doubt = str(error)
    except Exception as error:  # noqa: BLE001 - whatever one learner's file holds, the class gets its results
        doubt = f"It could not be judged ({type(error).__name__}: {error})."
    return Sat(path.name, path.stem, "", None, (), (), (), (doubt,), None)


def _judged(
    file: str, received: Received, pack: ExamPack, hidden: Hidden, questions: Pack, anchors: Sequence[Anchor]
) -> Sat:
    digest = packs.pack_digest(pack)
    found = [*doubts.of_chain(received), *doubts.of_anchors(received, digest, anchors)]
    unsat = Sat(file, received.about.learner, "", None, (), (), (), (), received)
    exams = [e for e in received.entries if isinstance(e, ExamStarted) and e.pack == digest]
    if not exams:
        return _with_doubts(unsat, (*found, "No exam of this pack was sat."))
    started = exams[0]
    secret = next((s for s in hidden.seats if s.label == started.seat), None)
    if secret is None:
        return _with_doubts(unsat, (*found, f"The pack has no seat {started.seat!r}."))
    terms = packs.terms_of(pack, secret, questions)
    entries, refused = _by_the_pack(received.entries, started, terms, pack.controls)
    sitting = sittings.read(entries, started.exam)
    judged = tuple(_with_evidence(m, received) for m in marks(questions, received.get, sitting))
    found += doubts.of_start(started, terms) + doubts.of_turns(refused) + doubts.of_sitting(sitting)
    found += [f"It was sat {len(exams)} times; the first counts."] if len(exams) > 1 else []
    found += doubts.of_practice(received.entries, started, terms.questions)
    found += doubts.of_evidence(received, sitting) + doubts.of_marks(sitting, judged)
    counting = [m for m in judged if m.counts]
    return replace(
        unsat,
        seat=started.seat,
        sitting=sitting,
        marks=judged,
        items=tuple(
            Item(questions.question(m.question), m.verdict is not None, m.points, m.possible) for m in counting
        ),
        explanations=tuple(explanation(questions, received.get, m) for m in judged),
        doubts=tuple(found),
    )


def _by_the_pack(
    entries: Sequence[Entry], started: ExamStarted, terms: Terms, controls: Sequence[Control]
) -> tuple[tuple[Entry, ...], tuple[ExamClock, ...]]:
    """The exam's lines with the seat's questions and time, and, apart, turns of the clock that no code allows."""
    codes = {(c.action, c.minutes, c.code_sha256) for c in controls if c.seat == started.seat}
    kept: list[Entry] = [started.model_copy(update={"questions": terms.questions, "minutes": terms.minutes})]
    refused: list[ExamClock] = []
    for entry in entries[started.sequence :]:
        if isinstance(entry, ExamClock) and entry.exam == started.exam and entry.action != "resume":
            code = (entry.action, entry.minutes, code_digest(started.seat, entry.action, entry.code))
            if code not in codes:
                refused.append(entry)
                continue
            codes.remove(code)
        kept.append(entry)
    return tuple(kept), tuple(refused)


def _with_evidence(mark: Mark, received: Received) -> Mark:
    """Evidence that was not handed in whole is the learner's to bring: the question counts, for nothing."""
    if mark.counts or not mark.evidence:
        return mark
    try:
        received.get(mark.evidence)
    except UserError:
        return mark.model_copy(update={"counts": True, "points": 0.0})
    return mark


def new_anchors(sat: Sequence[Sat], pack: ExamPack, anchors: Sequence[Anchor], now: datetime) -> tuple[Anchor, ...]:
    """Heads that were not noted yet, of gradebooks whose chain holds."""
    digest = packs.pack_digest(pack)
    known = {(a.pack, a.key, a.head) for a in anchors}
    return tuple(
        Anchor(learner=s.learner, pack=digest, key=r.about.key, sequence=r.check.entries, head=r.check.head, noted=now)
        for s in sat
        if (r := s.received) is not None
        and r.signed
        and not r.check.fault
        and (digest, r.about.key, r.check.head) not in known
    )


def statistics(sat: Sequence[Sat], questions: Pack) -> tuple[ItemStatistics, ...]:
    """Every question that somebody was asked."""
    found = [_item(q.id, [s for s in sat if s.marks]) for q in questions.questions]
    return tuple(item for item in found if item.asked)


def _item(question: str, sat: Sequence[Sat]) -> ItemStatistics:
    pairs: list[tuple[float, float]] = []
    times: list[float] = []
    for one in sat:
        mark = next((m for m in one.marks if m.question == question and m.counts), None)
        if mark is None or not mark.possible:
            continue
        rest = one.possible - mark.possible
        pairs.append((mark.points / mark.possible, (one.points - mark.points) / rest if rest else 0.0))
        if one.sitting and question in one.sitting.spent:
            times.append(one.sitting.spent[question].total_seconds())
    share = fmean(p[0] for p in pairs) if pairs else None
    return ItemStatistics(question, len(pairs), share, _correlation(pairs), median(times) if times else None)


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len(pairs) < LEAST_LEARNERS:
        return None
    xs, ys = [p[0] for p in pairs], [p[1] for p in pairs]
    mx, my = fmean(xs), fmean(ys)
    spread = (sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys)) ** 0.5
    return sum((x - mx) * (y - my) for x, y in pairs) / spread if spread > 1e-12 else None


def _shared(sat: Sat, keys: Counter[str], seats: Counter[str]) -> list[str]:
    found = []
    if sat.received and keys[sat.received.about.key] > 1:
        found.append("Another hand-in was signed by the same key: the same lab.")
    if sat.seat and seats[sat.seat] > 1:
        found.append(f"Another hand-in sat on {sat.seat}.")
    return found


def _with_doubts(sat: Sat, more: Sequence[str]) -> Sat:
    return replace(sat, doubts=(*sat.doubts, *more)) if more else sat
