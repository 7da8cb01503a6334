"""Exams: the clock, answers until the end, what is said before it and what comes after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archlab.errors import ArchlabError, ConflictError, NotFoundError, UserError
from archlab.grading.content import Pack
from archlab.grading.exams import Exams, Terms, Turn
from archlab.grading.practice import Practice
from archlab.spec.gradebook import ExamFinished
from archlab.spec.grading import Evidence, Verdict
from clocks import Clocks, Laboratory

if TYPE_CHECKING:
    from pathlib import Path as _Path

TERMS = Terms(minutes=60, questions=("pick", "guess", "reach"), selection_seed=1)


def _marks(exams: Exams) -> dict[str, tuple[Verdict | None, float]]:
    finished = exams.finished().finished
    assert finished is not None
    return {m.question: (m.verdict, m.points) for m in finished.marks}


def test_the_last_answer_counts_and_none_is_judged_before_the_end(exams: Exams) -> None:
    exams.start(TERMS)
    assert exams.answer("pick", "right") == "Recorded. You may change it until the end."
    assert exams.answer("pick", "left") == "Your earlier answer is replaced. You may change it until the end."
    with pytest.raises(ConflictError, match="not finished"):
        exams.finished()
    exams.finish()
    assert _marks(exams) == {
        "pick": (Verdict.INCORRECT, 0),
        "guess": (None, 0),
        "reach": (Verdict.INCORRECT, 0),
    }


def test_practice_and_hints_wait_until_the_end(exams: Exams, practice: Practice) -> None:
    exams.start(TERMS)
    for call in (
        lambda: practice.answer("pick", "right"),
        lambda: practice.hint("pick"),
        lambda: practice.grade(),
    ):
        with pytest.raises(ConflictError, match=r"exam-1 is .* wait until its end"):
            call()
    exams.finish()
    assert practice.answer("pick", "right").points == 10


def test_a_forecast_is_judged_by_what_came_and_a_state_by_the_last_picture(
    exams: Exams, advance: Callable[[int], None]
) -> None:
    exams.start(TERMS)
    assert "archlab clock advance 1d" in exams.answer("guess", "7")
    exams.answer("guess", "2")
    advance(2)
    with pytest.raises(ConflictError, match="Your forecast of 2 stands"):
        exams.answer("guess", "2.1")
    exams.finish()
    assert _marks(exams)["guess"] == (Verdict.CORRECT, 10)
    assert _marks(exams)["reach"] == (Verdict.CORRECT, 5)


def test_a_forecast_after_the_fact_is_refused(exams: Exams, advance: Callable[[int], None]) -> None:
    advance(1)
    exams.start(TERMS)
    with pytest.raises(ConflictError, match="after the fact"):
        exams.answer("guess", "1")


def test_a_state_handed_in_stands_until_it_is_handed_in_again(exams: Exams, advance: Callable[[int], None]) -> None:
    exams.start(TERMS)
    exams.answer("reach", None)
    advance(2)
    exams.finish()
    assert _marks(exams)["reach"] == (Verdict.INCORRECT, 0)


@pytest.mark.parametrize(
    ("question", "raw", "said"),
    [
        ("pick", "sideways", "not an option"),
        ("pick", None, "An answer is missing"),
        ("reach", "yes", "answered by the platform's state"),
        ("broken", "1", "is not asked in exam-1"),
        ("nothing", "1", "There is no question"),
    ],
)
def test_what_can_not_be_recorded_says_why(exams: Exams, question: str, raw: str | None, said: str) -> None:
    exams.start(TERMS)
    with pytest.raises(UserError, match=said):
        exams.answer(question, raw)
    assert len(exams.book.entries()) == 1


def test_time_runs_out(exams: Exams, clocks: Clocks, advance: Callable[[int], None]) -> None:
    exams.start(TERMS)
    exams.answer("pick", "right")
    clocks.run(61)
    advance(2)
    assert exams.current().remaining == timedelta(0)
    with pytest.raises(ConflictError, match="Time is up"):
        exams.answer("pick", "left")
    exams.finish()
    assert _marks(exams)["pick"] == (Verdict.CORRECT, 10)
    assert _marks(exams)["reach"] == (Verdict.INCORRECT, 0), "what the lab became after time was up does not count"


def test_an_answer_whose_evidence_came_too_late_does_not_count(
    pack: Pack, tmp_path: Path, clocks: Clocks, laboratory: Laboratory
) -> None:
    def slow() -> Evidence:
        clocks.run(40)
        return laboratory.collect()

    exams = Exams(pack, tmp_path / "lab", slow, clocks.now)
    exams.start(TERMS)
    exams.answer("pick", "right")
    with pytest.raises(ConflictError, match="Time is up"):
        exams.answer("pick", "left")
    assert exams.finish().answers["pick"].answer == "right"


def test_the_clock_survives_a_restart_and_can_not_be_set_back(exams: Exams, clocks: Clocks) -> None:
    exams.start(TERMS)
    clocks.run(20)
    clocks.set_wall(-15)
    assert exams.current().remaining == timedelta(minutes=40)
    exams.answer("pick", "right")
    clocks.restart(10)
    assert exams.current().remaining == timedelta(minutes=30)
    clocks.run(25)
    exams.finish()
    found = exams.finished()
    assert found.used == timedelta(minutes=55)
    assert [("set back" in i, "restarted" in i) for i in found.irregularities] == [(True, False), (False, True)]


def test_a_restart_with_the_clock_set_back_gains_no_working_time(exams: Exams, clocks: Clocks) -> None:
    exams.start(TERMS)
    clocks.run(20)
    exams.answer("pick", "right")
    clocks.restart(-15)
    clocks.run(30)
    assert exams.current().used >= timedelta(minutes=50)
    assert "set back" not in " ".join(exams.current().irregularities)
    clocks.set_wall(-40)
    assert "wall clock set back by at least" in " ".join(exams.current().irregularities)


def test_a_pause_stops_the_clock_and_ends_by_itself(exams: Exams, clocks: Clocks) -> None:
    exams.start(TERMS)
    clocks.run(10)
    assert exams.turn(Turn("pause", 15, "ONE")).paused
    clocks.run(5)
    with pytest.raises(ConflictError, match="is paused"):
        exams.answer("pick", "right")
    assert exams.resume().remaining == timedelta(minutes=50)
    with pytest.raises(ConflictError, match="works once"):
        exams.turn(Turn("pause", 15, "ONE"))
    exams.turn(Turn("pause", 15, "TWO"))
    clocks.run(20)
    assert (exams.current().paused, exams.current().remaining) == (False, timedelta(minutes=45))
    with pytest.raises(ConflictError, match="no pause"):
        exams.resume()


def test_the_instructor_may_extend_even_when_time_is_up(exams: Exams, clocks: Clocks) -> None:
    exams.start(TERMS)
    clocks.run(65)
    assert exams.turn(Turn("extend", 15, "MORE")).remaining == timedelta(minutes=10)
    exams.answer("pick", "right")


def test_finishing_twice_gives_one_result_and_another_exam_may_follow(exams: Exams) -> None:
    exams.start(TERMS)
    with pytest.raises(ConflictError, match="exam-1 is running"):
        exams.start(TERMS)
    exams.finish()
    with pytest.raises(ConflictError, match="No exam is running"):
        exams.finish()
    assert exams.start(TERMS).exam == "exam-2"
    assert sum(isinstance(e, ExamFinished) for e in exams.book.entries()) == 1


def test_our_fault_is_left_out_of_the_sum(exams: Exams) -> None:
    exams.start(Terms(60, ("broken", "pick"), 1))
    assert "our fault" in exams.answer("broken", "1")
    finished = exams.finish().finished
    assert finished is not None
    assert [(m.verdict, m.counts) for m in finished.marks] == [(Verdict.PLATFORM_ERROR, False), (None, True)]


def test_a_lab_that_is_down_at_the_end(exams: Exams, pack: Pack, tmp_path: Path, clocks: Clocks) -> None:
    exams.start(TERMS)
    exams.answer("pick", "right")

    def down() -> None:
        raise ArchlabError("the lab does not answer")

    without = Exams(pack, tmp_path / "lab", down, clocks.now)  # type: ignore[arg-type]
    with pytest.raises(ArchlabError, match="does not answer"):
        without.finish()
    assert without.finish(look=False).finished is not None
    assert _marks(exams)["pick"] == (Verdict.CORRECT, 10)


def test_an_exam_is_judged_again_with_the_rest(exams: Exams, practice: Practice, folder: _Path) -> None:
    from archlab.grading.content import load
    from archlab.grading.regrading import regrade

    exams.start(TERMS)
    exams.answer("pick", "left")
    exams.finish()
    assert all(r.agrees for r in practice.regrade())
    truths = folder / "truths.py"
    truths.write_text(truths.read_text().replace('answer="right"', 'answer="left"'))
    changed = [r for r in regrade(load(folder), practice.store, practice.book.entries()) if not r.agrees]
    assert [(r.question, r.exam, r.then_points, r.now_points) for r in changed] == [("pick", "exam-1", 0, 10)]


def test_without_an_exam(exams: Exams) -> None:
    for call in (exams.current, exams.finish, exams.resume):
        with pytest.raises(ConflictError):
            call()
    with pytest.raises(NotFoundError):
        exams.finished()


def test_a_lab_of_another_seed_is_refused(exams: Exams) -> None:
    with pytest.raises(ConflictError, match="has seed 1; your seat has seed 7"):
        exams.start(Terms(60, ("pick",), 1, seed=7))
    assert exams.book.entries() == ()


def test_time_is_told_per_question(exams: Exams, clocks: Clocks) -> None:
    exams.start(TERMS)
    for question, raw, minutes in (("pick", "left", 5), ("guess", "1", 7), ("pick", "right", 2)):
        clocks.run(minutes)
        exams.answer(question, raw)
    assert exams.current().spent == {"pick": timedelta(minutes=7), "guess": timedelta(minutes=7)}
