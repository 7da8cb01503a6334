"""A class's hand-ins, judged on the instructor's machine from their evidence: nothing is taken from what they claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean, median

from archlab.errors import SpecError, UserError
from archlab.grading import handin, packs, sittings
from archlab.grading.blueprints import Item
from archlab.grading.content import Pack
from archlab.grading.handin import Received
from archlab.grading.marking import explanation, marks
from archlab.grading.sealing import code_digest
from archlab.grading.sittings import Sitting
from archlab.spec.gradebook import ExamStarted, Mark
from archlab.spec.pack import Anchor, ExamPack, Hidden

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
    """Judge one hand-in; what can't be read becomes a doubt, never an error."""
    try:
        received = handin.read(path)
    except (UserError, OSError) as error:
        return Sat(path.name, path.stem, "", None, (), (), (), (str(error),), None)
    digest = packs.pack_digest(pack)
    started = [e for e in received.entries if isinstance(e, ExamStarted) and e.pack == digest]
    doubts = [*_chain(received), *_anchored(received, anchors)]
    learner = received.about.learner
    if not started:
        return Sat(path.name, learner, "", None, (), (), (), (*doubts, "No exam of this pack was sat."), received)
    sitting = sittings.read(received.entries, started[0].exam)
    judged = marks(questions, received.get, sitting)
    doubts += _sitting(received, sitting, pack, hidden, questions)
    doubts += [f"It was sat {len(started)} times; the first counts."] if len(started) > 1 else []
    doubts += _evidence(received, sitting)
    doubts += _otherwise(sitting, judged)
    return Sat(
        file=path.name,
        learner=learner,
        seat=sitting.started.seat,
        sitting=sitting,
        marks=judged,
        items=tuple(
            Item(questions.question(m.question), m.verdict is not None, m.points, m.possible)
            for m in judged
            if m.counts
        ),
        explanations=tuple(explanation(questions, received.get, m) for m in judged),
        doubts=tuple(doubts),
        received=received,
    )


def new_anchors(sat: Sequence[Sat], anchors: Sequence[Anchor], now: datetime) -> tuple[Anchor, ...]:
    """Heads that were not noted yet, of gradebooks whose chain holds."""
    known = {(a.key, a.head) for a in anchors}
    return tuple(
        Anchor(learner=s.learner, key=r.about.key, sequence=r.check.entries, head=r.check.head, noted=now)
        for s in sat
        if (r := s.received) is not None and r.signed and not r.check.fault and (r.about.key, r.check.head) not in known
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


def _chain(received: Received) -> list[str]:
    doubts = [f"The gradebook is broken: {received.check.fault}"] if received.check.fault else []
    if not received.signed:
        doubts.append("The hand-in is not signed by the gradebook's key, or names another head than the gradebook has.")
    return doubts


def _anchored(received: Received, anchors: Sequence[Anchor]) -> list[str]:
    """A head noted earlier has to be in the chain still; a learner keeps their key."""
    doubts: list[str] = []
    heads = {e.sequence: e.hash for e in received.entries}
    for anchor in anchors:
        if anchor.key == received.about.key and heads.get(anchor.sequence) != anchor.head:
            doubts.append(
                f"The head noted on {anchor.noted:%Y-%m-%d %H:%M}Z (entry {anchor.sequence}) is not in this gradebook: "
                "it was cut off or written anew."
            )
    others = {a.key for a in anchors if a.learner == received.about.learner} - {received.about.key}
    if others:
        doubts.append("An earlier gradebook of this learner was signed by another key: another lab, or a new start.")
    return doubts


def _sitting(received: Received, sitting: Sitting, pack: ExamPack, hidden: Hidden, questions: Pack) -> list[str]:
    started, doubts = sitting.started, [f"Clock: {line}" for line in sitting.irregularities]
    secret = next((s for s in hidden.seats if s.label == started.seat), None)
    if secret is None:
        return [*doubts, f"The pack has no seat {started.seat!r}."]
    terms = packs.terms_of(pack, secret, questions)
    if started.variant.seed != secret.seed:
        doubts.append(f"The lab has seed {started.variant.seed}; the seat has {secret.seed}.")
    if started.questions != terms.questions:
        doubts.append("Other questions were asked than the seat draws.")
    if started.minutes != pack.minutes:
        doubts.append(f"The clock was set to {started.minutes} minutes; the pack gives {pack.minutes}.")
    allowed = {(c.action, c.minutes, c.code_sha256) for c in pack.controls if c.seat == started.seat}
    used: Counter[str] = Counter()
    for turn in sitting.clock:
        used[turn.code] += turn.action != "resume"
        known = (turn.action, turn.minutes, code_digest(started.seat, turn.action, turn.code)) in allowed
        if turn.action != "resume" and (not known or used[turn.code] > 1):
            doubts.append(f"The clock was turned ({turn.action}, {turn.minutes} minutes) without a code of this pack.")
    if sitting.late:
        doubts.append(f"{sitting.late} answers were recorded after time was up; they don't count.")
    if sitting.finished is None:
        doubts.append("The exam was not finished; what was answered in time counts.")
    return doubts


def _evidence(received: Received, sitting: Sitting) -> list[str]:
    """Every picture must be of the seat's lab, taken while the exam ran."""
    doubts: list[str] = []
    earliest = sitting.started.wall_time - timedelta(minutes=5)
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


def _otherwise(sitting: Sitting, judged: Sequence[Mark]) -> list[str]:
    """Where the learner's own gradebook says something else than what is judged here."""
    said = {m.question: m for m in sitting.finished.marks} if sitting.finished else {}
    return [
        f"{mark.question}: the gradebook says {claimed.points:g} points, judged here {mark.points:g}."
        for mark in judged
        if (claimed := said.get(mark.question)) is not None and abs(claimed.points - mark.points) > 0.005
    ]


def _shared(sat: Sat, keys: Counter[str], seats: Counter[str]) -> list[str]:
    doubts = []
    if sat.received and keys[sat.received.about.key] > 1:
        doubts.append("Another hand-in was signed by the same key: the same lab.")
    if sat.seat and seats[sat.seat] > 1:
        doubts.append(f"Another hand-in sat on {sat.seat}.")
    return doubts


def _with_doubts(sat: Sat, more: Sequence[str]) -> Sat:
    return replace(sat, doubts=(*sat.doubts, *more)) if more else sat
