"""One exam as the gradebook tells it: what was answered in time, how much time is left. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from archlab.errors import ConflictError, NotFoundError
from archlab.grading.moments import Moment, Timed, between, irregularities
from archlab.spec.gradebook import Entry, ExamAnswered, ExamClock, ExamFinished, ExamStarted


@dataclass(frozen=True, slots=True)
class Sitting:
    """An exam at some moment."""

    started: ExamStarted
    answers: Mapping[str, ExamAnswered]
    """The last answer in time to each question."""
    pictures: tuple[str, ...]
    """Digests of the evidence taken in time, oldest first; those of its start and end included."""
    clock: tuple[ExamClock, ...]
    finished: ExamFinished | None
    used: timedelta
    allowed: timedelta
    paused: bool
    spent: Mapping[str, timedelta]
    """Per question: the time before each of its answers since the last answer to anything."""
    irregularities: tuple[str, ...]
    late: int
    """Answers recorded after time was up; they don't count."""

    @property
    def exam(self) -> str:
        """Its name."""
        return self.started.exam

    @property
    def remaining(self) -> timedelta:
        """Never negative."""
        return max(self.allowed - self.used, timedelta(0))

    @property
    def over(self) -> bool:
        """Finished, or time is up."""
        return self.finished is not None or not self.remaining


@dataclass(slots=True)
class _Clock:
    """Runs along the entries of one exam."""

    allowed: timedelta
    last: Timed
    used: timedelta = timedelta(0)
    paused: bool = False
    pause_left: timedelta = timedelta(0)
    since_answer: timedelta = timedelta(0)
    moments: list[Timed] = field(default_factory=list)

    def reach(self, moment: Timed) -> None:
        """Let the time up to a moment pass; a pause that has run out no longer stops the clock."""
        passed = between(self.last, moment)
        self.last = moment
        self.moments.append(moment)
        if self.paused:
            free = min(passed, self.pause_left)
            self.pause_left -= free
            passed -= free
            self.paused = bool(self.pause_left)
        self.used += passed
        self.since_answer += passed

    def turn(self, entry: ExamClock) -> None:
        """Do what an instructor's code, or the learner's resume, says."""
        length = timedelta(minutes=entry.minutes)
        if entry.action == "extend":
            self.allowed += length
        else:
            self.paused = entry.action == "pause"
            self.pause_left = length if self.paused else timedelta(0)


def read(entries: Sequence[Entry], exam: str, now: Moment | None = None) -> Sitting:
    """The exam of that name; `now`: how late it is, the last entry's time by default.

    Raises:
        NotFoundError: the gradebook has no such exam.
    """
    started = next((e for e in entries if isinstance(e, ExamStarted) and e.exam == exam), None)
    if started is None:
        raise NotFoundError(f"The gradebook has no exam {exam!r}.", "Start one with: archlab exam start --minutes 60")
    clock = _Clock(timedelta(minutes=started.minutes), started, moments=[started])
    answers: dict[str, ExamAnswered] = {}
    spent: dict[str, timedelta] = {}
    pictures = [started.evidence]
    turns: list[ExamClock] = []
    finished: ExamFinished | None = None
    late = 0
    for entry in _of(entries, started):
        clock.reach(entry)
        in_time = clock.used <= clock.allowed
        if isinstance(entry, ExamAnswered):
            if in_time:
                answers[entry.question] = entry
                pictures.append(entry.evidence)
            late += not in_time
            spent[entry.question] = spent.get(entry.question, timedelta(0)) + clock.since_answer
            clock.since_answer = timedelta(0)
        elif isinstance(entry, ExamClock):
            turns.append(entry)
            clock.turn(entry)
        else:
            finished = entry
            pictures += [entry.evidence] if entry.evidence and in_time else []
            break
    if finished is None and now is not None:
        clock.reach(now)
    return Sitting(
        started=started,
        answers=answers,
        pictures=tuple(pictures),
        clock=tuple(turns),
        finished=finished,
        used=clock.used,
        allowed=clock.allowed,
        paused=clock.paused,
        spent=spent,
        irregularities=irregularities(clock.moments),
        late=late,
    )


def with_picture(sitting: Sitting, evidence: str) -> Sitting:
    """The same, with the picture that is taken at its end; empty: without one."""
    return replace(sitting, pictures=(*sitting.pictures, evidence)) if evidence else sitting


def names(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Every exam that was started, oldest first."""
    return tuple(e.exam for e in entries if isinstance(e, ExamStarted))


def current(entries: Sequence[Entry], now: Moment) -> Sitting | None:
    """The exam that was started and not finished."""
    started = names(entries)
    found = read(entries, started[-1], now) if started else None
    return found if found is not None and found.finished is None else None


def refuse_while_sitting(entries: Sequence[Entry], now: Moment) -> None:
    """Hints, verdicts and explanations wait until the exam is finished.

    Raises:
        ConflictError: an exam is running, or was not finished.
    """
    found = current(entries, now)
    if found is not None:
        state = "is not finished" if found.over else "is running"
        step = "archlab exam finish" if found.over else "archlab exam answer ID VALUE; in the end archlab exam finish"
        raise ConflictError(
            f"{found.exam} {state}: practice, hints and verdicts wait until its end.", f"Go on with: {step}"
        )


def _of(entries: Sequence[Entry], started: ExamStarted) -> list[ExamAnswered | ExamClock | ExamFinished]:
    return [e for e in entries if isinstance(e, ExamAnswered | ExamClock | ExamFinished) and e.exam == started.exam]
