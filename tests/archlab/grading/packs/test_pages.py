"""Pages for a learner and for a class hold back what a learner wrote."""

from __future__ import annotations

from archlab.grading import blueprints, classroom, pages
from archlab.spec.pack import InstructorKey
from exam_room import NOW, Class


def test_pages_hold_back_what_a_learner_wrote(room: Class, key: InstructorKey) -> None:
    name = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    room.hand_in("eve", room.sit("eve", 0), learner=name)
    sat = room.grade(key)
    known = blueprints.load()
    learner = pages.learner_page(sat[0], room.pack, room.questions, known)
    found = classroom.statistics(sat, room.questions)
    whole = pages.class_page(sat, found, room.pack, room.questions, known, ["learner-001.html"], NOW)
    for page in (learner, whole):
        assert "<script" not in page
        assert "<img" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "default-src 'none'" in page
        assert "http" not in page.replace("http-equiv", "")
    assert "Midterm" in whole


def test_a_page_of_what_could_not_be_read(room: Class, key: InstructorKey) -> None:
    (room.handed_in / "<b>x.zip").write_text("hello")
    sat = room.grade(key)
    page = pages.learner_page(sat[0], room.pack, room.questions, blueprints.load())
    assert "<b>x" not in page
    assert "is no ZIP" in page
