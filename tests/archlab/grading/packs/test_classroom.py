"""A class judged from what it handed in, and what a learner might have done to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from archlab.grading import classroom, packs
from archlab.grading.content import Pack
from archlab.grading.exams import Terms, Turn
from archlab.grading.practice import Practice
from archlab.spec.gradebook import Entry, ExamAnswered, ExamFinished
from archlab.spec.grading import Verdict
from archlab.spec.pack import InstructorKey
from clocks import Clocks
from exam_room import ANSWERS, NOW, Class, resigned
from synthetic import World


def test_a_class_is_judged_from_what_it_handed_in(room: Class, key: InstructorKey) -> None:
    room.hand_in("ada", room.sit("ada", 0))
    room.hand_in("bob", room.sit("bob", 1, right=1))
    ada, bob = room.grade(key)
    assert (ada.learner, ada.seat, ada.doubts) == ("ada", "seat-1", ())
    assert (bob.learner, bob.seat, bob.doubts) == ("bob", "seat-2", ())
    assert ada.possible > 0
    assert ada.sitting is not None
    assert ada.sitting.finished is not None
    assert ada.marks == ada.sitting.finished.marks
    found = classroom.statistics((ada, bob), room.questions)
    assert {i.question for i in found} == {m.question for s in (ada, bob) for m in s.marks}
    assert all(i.discrimination is None for i in found)


def test_heads_are_anchored_and_a_cut_gradebook_shows(room: Class, key: InstructorKey) -> None:
    exams = room.sit("ada", 0)
    room.hand_in("ada", exams)
    anchors = classroom.new_anchors(room.grade(key), room.pack, (), NOW)
    assert [(a.learner, a.sequence) for a in anchors] == [("ada", len(exams.book.entries()))]
    assert room.grade(key, anchors)[0].doubts == ()
    assert classroom.new_anchors(room.grade(key, anchors), room.pack, anchors, NOW) == ()
    whole = exams.book.path.read_bytes().splitlines(keepends=True)
    exams.book.path.write_bytes(b"".join(whole[:-1]))
    room.hand_in("ada", exams)
    assert any("is not in this gradebook" in d for d in room.grade(key, anchors)[0].doubts)


def test_another_key_is_a_doubt_in_the_same_pack_alone(room: Class, key: InstructorKey) -> None:
    room.hand_in("ada", room.sit("ada", 0))
    anchors = classroom.new_anchors(room.grade(key), room.pack, (), NOW)
    room.hand_in("ada-again", room.sit("ada-again", 1), learner="ada")
    (room.handed_in / "ada.zip").unlink()
    assert any("signed by another key" in d for d in room.grade(key, anchors)[0].doubts)
    elsewhere = tuple(a.model_copy(update={"pack": "another"}) for a in anchors)
    assert room.grade(key, elsewhere)[0].doubts == ()


def test_points_written_into_the_gradebook_do_not_count(room: Class, key: InstructorKey) -> None:
    exams = room.sit("eve", 0, right=0)

    def full(entry: Entry) -> Entry:
        if not isinstance(entry, ExamFinished):
            return entry
        marks = tuple(m.model_copy(update={"points": float(m.possible)}) for m in entry.marks)
        return entry.model_copy(update={"marks": marks})

    resigned(room, "eve", exams, full)
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert eve.points < eve.possible
    assert sum("the gradebook says" in d for d in eve.doubts) == 4


def test_an_answer_that_nobody_could_type_is_no_error(room: Class, key: InstructorKey) -> None:
    exams = room.sit("eve", 0, right=1)
    resigned(
        room,
        "eve",
        exams,
        lambda e: e.model_copy(update={"answer": {"a": [1]}}) if isinstance(e, ExamAnswered) else e,
    )
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert Verdict.INVALID in {m.verdict for m in eve.marks}


def test_what_does_not_fit_the_pack_is_pointed_at(room: Class, key: InstructorKey, questions: Pack) -> None:
    terms = packs.terms(room.pack, room.codes[0].start, questions)
    exams = room.exams("eve", 8)
    exams.start(replace(terms, seed=None, minutes=90, questions=("cheapest-resilient",)))
    exams.turn(Turn("extend", 600, "MADE-UP"))
    room.hand_in("eve", exams)
    doubts = "\n".join(room.grade(key)[0].doubts)
    for text in (
        "lab has seed 8; the seat has 3",
        "Other questions",
        "90 minutes; the pack gives 60",
        "without a code",
        "not finished",
    ):
        assert text in doubts


def test_time_and_questions_are_those_of_the_seat(room: Class, key: InstructorKey, questions: Pack) -> None:
    clocks = Clocks()
    terms = packs.terms(room.pack, room.codes[0].start, questions)
    exams = room.exams("eve", 3, clocks)
    easy = next(q for q in terms.questions if q in ANSWERS)
    exams.start(replace(terms, minutes=120, questions=(easy,)))
    exams.turn(Turn("extend", 60, "MADE-UP"))
    clocks.run(minutes=61)
    exams.answer(easy, ANSWERS[easy])
    exams.finish()
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert tuple(m.question for m in eve.marks) == terms.questions
    assert eve.points == 0
    assert any("1 answers were recorded after time was up" in d for d in eve.doubts)


def test_evidence_that_is_kept_back_earns_nothing(room: Class, key: InstructorKey) -> None:
    exams = room.sit("eve", 0, right=1)
    before = exams.finished().finished
    assert before is not None
    exams.store.path(exams.finished().pictures[1]).unlink()
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert eve.possible == sum(m.possible for m in before.marks)
    assert any("was not handed in" in d for d in eve.doubts)
    assert Verdict.PLATFORM_ERROR in {m.verdict for m in eve.marks}


def test_questions_judged_before_the_exam_are_named(room: Class, key: InstructorKey, questions: Pack) -> None:
    exams = room.exams("eve", 3)
    asked = packs.terms(room.pack, room.codes[0].start, questions).questions
    practised = next(q for q in asked if q in ANSWERS)
    practice = Practice(questions, room.folder / "eve", World(seed=3).evidence)
    practice.answer(practised, ANSWERS[practised])
    exams.start(packs.terms(room.pack, room.codes[0].start, questions))
    exams.finish()
    room.hand_in("eve", exams)
    assert f"Before the exam this lab had judged {practised}." in room.grade(key)[0].doubts


@pytest.mark.parametrize(
    ("change", "said"),
    [({"uptime_ms": 10**17}, "It could not be judged"), ({"wall_time": datetime(1, 1, 1, tzinfo=UTC)}, "Clock: ")],
)
def test_moments_that_never_were_do_not_stop_the_class(
    room: Class, key: InstructorKey, change: dict[str, object], said: str
) -> None:
    exams = room.sit("eve", 0)
    resigned(room, "eve", exams, lambda e: e.model_copy(update=change) if e.sequence == 2 else e)
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert any(d.startswith(said) for d in eve.doubts)


def test_one_seat_sat_twice_and_one_lab_handed_in_twice(room: Class, key: InstructorKey) -> None:
    ada = room.sit("ada", 0)
    room.hand_in("ada", ada)
    (room.handed_in / "copy.zip").write_bytes((room.handed_in / "ada.zip").read_bytes())
    doubts = [" ".join(s.doubts) for s in room.grade(key)]
    assert all("same key" in d and "sat on seat-1" in d for d in doubts)


def test_a_hand_in_without_an_exam_of_the_pack(room: Class, key: InstructorKey) -> None:
    exams = room.exams("ada", 3)
    exams.start(Terms(60, ("cheapest-resilient",), 1))
    exams.finish()
    room.hand_in("ada", exams)
    (ada,) = room.grade(key)
    assert (ada.marks, ada.doubts) == ((), ("No exam of this pack was sat.",))


def test_how_well_a_question_separates() -> None:
    pairs = [(1.0, 0.9), (1.0, 0.8), (0.0, 0.2), (0.0, 0.1), (1.0, 0.7)]
    assert classroom._correlation(pairs) == pytest.approx(0.98, abs=0.02)
    assert classroom._correlation([(x, 1 - y) for x, y in pairs]) == pytest.approx(-0.98, abs=0.02)
    assert classroom._correlation(pairs[:4]) is None
    assert classroom._correlation([(1.0, y) for _, y in pairs]) is None
