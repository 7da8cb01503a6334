"""Where a learner stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.grading.place import Place


def test_question_and_draft_are_kept_per_session(tmp_path: Path) -> None:
    path = tmp_path / "quiz.json"
    Place(path, "practice").keep("b", "left,up")
    Place(path, "exam-1").keep("a", "7")
    assert Place(path, "practice").index(["a", "b"]) == 1
    assert Place(path, "exam-1").index(["a", "b"]) == 0
    assert (Place(path, "practice").draft("b"), Place(path, "exam-1").draft("b")) == ("left,up", "")
    Place(path, "practice").keep("b", "")
    assert Place(path, "practice").draft("b") == ""


@pytest.mark.parametrize("content", [None, "", "{", '{"format": "other"}'])
def test_without_it_one_begins_anew(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "quiz.json"
    if content is not None:
        path.write_text(content)
    assert Place(path, "practice").index(["a"]) == 0
    assert Place(path, "practice").draft("a") == ""


def test_a_question_that_is_gone_begins_at_the_first(tmp_path: Path) -> None:
    place = Place(tmp_path / "quiz.json", "practice")
    place.keep("gone", "")
    assert place.index(["a", "b"]) == 0
