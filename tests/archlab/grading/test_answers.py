"""Answers are read generously where the meaning is clear, and refused with the reason where it is not."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.grading.answers import MAX_RULE_BYTES, InvalidAnswerError, parse
from archlab.spec.grading import Option, Question, QuestionKind


def question(kind: QuestionKind, **fields: Any) -> Question:
    """A question of a kind with the options a, b, c."""
    with_options = kind in (QuestionKind.CHOICE, QuestionKind.MULTI, QuestionKind.ORDER)
    base: dict[str, Any] = {
        "id": "q",
        "title": "Q",
        "kind": kind,
        "text": "?",
        "truth": "t",
        "points": 10,
        "minutes": 1,
        "difficulty": "easy",
        "competencies": (),
        "domains": (),
        "explanation": "",
        "options": tuple(Option(key=k, text=k) for k in "abc") if with_options else (),
    }
    return Question.model_validate({**base, **fields})


def test_a_forecast_of_keys_is_read_like_multi() -> None:
    options = tuple(Option(key=k, text=k) for k in "abc")
    assert parse(question(QuestionKind.PREDICT, options=options), "c, a") == ["a", "c"]


def test_a_rule_is_taken_as_it_is_within_its_size() -> None:
    asked = question(QuestionKind.REGO, rule="promotion/own", cases="cases")
    assert parse(asked, "package a\n") == "package a\n"
    for bad in ("", " \n", "x" * (MAX_RULE_BYTES + 1)):
        with pytest.raises(InvalidAnswerError):
            parse(asked, bad)


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (QuestionKind.CHOICE, " A ", "a"),
        (QuestionKind.MULTI, "c, a", ["a", "c"]),
        (QuestionKind.MULTI, "b", ["b"]),
        (QuestionKind.ORDER, "c>a>b", ["c", "a", "b"]),
        (QuestionKind.ORDER, "c a b", ["c", "a", "b"]),
        (QuestionKind.NUMERIC, "12.5", 12.5),
        (QuestionKind.NUMERIC, "12.5 USD", 12.5),
        (QuestionKind.NUMERIC, "-1,234.5", -1234.5),
        (QuestionKind.NUMERIC, "40%", 40.0),
        (QuestionKind.NUMERIC, ".5", 0.5),
        (QuestionKind.PREDICT, "1e3", 1000.0),
    ],
)
def test_readable(kind: QuestionKind, raw: str, value: object) -> None:
    assert parse(question(kind, unit="USD"), raw) == value


@pytest.mark.parametrize(
    ("kind", "raw", "said"),
    [
        (QuestionKind.CHOICE, "d", "not an option"),
        (QuestionKind.CHOICE, "", "not an option"),
        (QuestionKind.MULTI, "", "names no option"),
        (QuestionKind.MULTI, "a,a", "twice"),
        (QuestionKind.ORDER, "a,b", "leaves out c"),
        (QuestionKind.NUMERIC, "12,5", "not a number"),
        (QuestionKind.NUMERIC, "a lot", "not a number"),
        (QuestionKind.NUMERIC, "nan", "not a number"),
        (QuestionKind.NUMERIC, "inf", "not a number"),
        (QuestionKind.NUMERIC, "1e999", "not a number"),
        (QuestionKind.STATE, "yes", "platform's state"),
        (QuestionKind.NUMERIC, "1" * 2000, "characters"),
    ],
)
def test_unreadable_says_why(kind: QuestionKind, raw: str, said: str) -> None:
    with pytest.raises(InvalidAnswerError, match=said):
        parse(question(kind), raw)


@given(st.sampled_from(list(QuestionKind)), st.text(max_size=60))
def test_whatever_is_typed_is_read_or_refused(kind: QuestionKind, raw: str) -> None:
    with suppress(InvalidAnswerError):
        assert parse(question(kind), raw) is not None
