"""An answer made key by key."""

from __future__ import annotations

import pytest

from archlab.cli.drafts import Draft
from archlab.grading.answers import parse
from archlab.spec.grading import Option, Question, QuestionKind

OPTIONS = tuple(Option(key=k, text=k.title()) for k in ("left", "right", "up"))


def _draft(kind: QuestionKind, raw: str = "") -> Draft:
    options = OPTIONS if kind in (QuestionKind.CHOICE, QuestionKind.MULTI, QuestionKind.ORDER) else ()
    question = Question(
        id="q", title="q", kind=kind, text="", truth="t", points=1, minutes=1, difficulty="easy",
        competencies=(), domains=(), options=options, explanation="",
    )  # fmt: skip
    return Draft.of(question, raw)


def _press(draft: Draft, *keys: str) -> Draft:
    for key in keys:
        pressed = draft.press(key)
        assert pressed is not None, key
        draft = pressed
    return draft


@pytest.mark.parametrize(
    ("kind", "keys", "raw"),
    [
        (QuestionKind.CHOICE, ("down", "space"), "right"),
        (QuestionKind.CHOICE, ("a", "c"), "up"),
        (QuestionKind.CHOICE, ("up", "up", "space"), "left"),
        (QuestionKind.MULTI, ("c", "a"), "left,up"),
        (QuestionKind.MULTI, ("a", "b", "a"), "right"),
        (QuestionKind.MULTI, ("down", "down", "down", "space"), "up"),
        (QuestionKind.ORDER, ("space", "down", "down", "space", "up"), "right,up,left"),
        (QuestionKind.ORDER, ("c", "space", "up", "up"), "up,left,right"),
        (QuestionKind.NUMERIC, ("1", "2", ".", "5"), "12.5"),
        (QuestionKind.PREDICT, ("-", "3", "4", "backspace"), "-3"),
    ],
)
def test_keys_make_an_answer_that_can_be_graded(kind: QuestionKind, keys: tuple[str, ...], raw: str) -> None:
    draft = _press(_draft(kind), *keys)
    assert draft.raw == raw
    parse(draft.question, draft.raw)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (QuestionKind.CHOICE, "d"),
        (QuestionKind.CHOICE, "?"),
        (QuestionKind.CHOICE, "enter"),
        (QuestionKind.NUMERIC, "q"),
        (QuestionKind.PREDICT, "r"),
        (QuestionKind.STATE, "a"),
        (QuestionKind.STATE, "1"),
    ],
)
def test_a_key_without_meaning_is_left_to_the_quiz(kind: QuestionKind, key: str) -> None:
    assert _draft(kind).press(key) is None


@pytest.mark.parametrize(
    ("kind", "raw"),
    [(QuestionKind.MULTI, "left,up"), (QuestionKind.ORDER, "up,left,right"), (QuestionKind.NUMERIC, "4.5")],
)
def test_what_was_begun_comes_back(kind: QuestionKind, raw: str) -> None:
    assert _draft(kind, raw).raw == raw


def test_a_damaged_draft_starts_anew() -> None:
    assert _draft(QuestionKind.ORDER, "up,nothing").raw == "left,right,up"
    assert _draft(QuestionKind.CHOICE, "nothing").raw == ""
