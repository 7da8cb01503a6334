"""Verdicts, partial points, and what is not held against the learner."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.grading.grade import Grade, ask, explain, grade
from archlab.spec.grading import Evidence, Option, Question, QuestionKind, Truth, Verdict
from archlab.spec.scenario import Variant
from synthetic import World


def question(kind: QuestionKind, keys: str = "abcd", **fields: Any) -> Question:
    """A question of a kind; only kinds that are answered by keys have options."""
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
        "explanation": "It is {figure:.1f}.",
        "options": tuple(Option(key=k, text=k, misconception=f"Not {k}.") for k in keys) if with_options else (),
        "tolerance_percent": 5,
        "near_percent": 20,
    }
    return Question.model_validate({**base, **fields})


@pytest.mark.parametrize(
    ("kind", "truth", "answer", "verdict", "share"),
    [
        (QuestionKind.CHOICE, "a", "a", Verdict.CORRECT, 1.0),
        (QuestionKind.CHOICE, "a", "b", Verdict.INCORRECT, 0.0),
        (QuestionKind.MULTI, ["a", "b"], ["a", "b"], Verdict.CORRECT, 1.0),
        (QuestionKind.MULTI, ["a", "b"], ["a"], Verdict.PARTIAL, 0.5),
        (QuestionKind.MULTI, ["a", "b"], ["a", "b", "c"], Verdict.PARTIAL, 0.5),
        (QuestionKind.MULTI, ["a", "b"], ["a", "c"], Verdict.INCORRECT, 0.0),
        (QuestionKind.MULTI, ["a"], ["b", "c", "d"], Verdict.INCORRECT, 0.0),
        (QuestionKind.ORDER, ["a", "b", "c", "d"], ["a", "b", "c", "d"], Verdict.CORRECT, 1.0),
        (QuestionKind.ORDER, ["a", "b", "c", "d"], ["a", "b", "d", "c"], Verdict.PARTIAL, 5 / 6),
        (QuestionKind.ORDER, ["a", "b", "c", "d"], ["d", "c", "b", "a"], Verdict.INCORRECT, 0.0),
        (QuestionKind.ORDER, [["a", "b"], "c", "d"], ["b", "a", "c", "d"], Verdict.CORRECT, 1.0),
        (QuestionKind.NUMERIC, 100, 104.9, Verdict.CORRECT, 1.0),
        (QuestionKind.NUMERIC, 100, 110.0, Verdict.PARTIAL, 0.5),
        (QuestionKind.NUMERIC, 100, 130.0, Verdict.INCORRECT, 0.0),
        (QuestionKind.NUMERIC, -2.0, -2.05, Verdict.CORRECT, 1.0),
        (QuestionKind.PREDICT, 100, 98.0, Verdict.CORRECT, 1.0),
        (QuestionKind.STATE, True, None, Verdict.CORRECT, 1.0),
        (QuestionKind.STATE, False, None, Verdict.INCORRECT, 0.0),
    ],
)
def test_verdicts(kind: QuestionKind, truth: Any, answer: Any, verdict: Verdict, share: float) -> None:
    judged = grade(question(kind), Truth(answer=truth, facts={"figure": 2.25}), answer)
    assert judged.verdict is verdict
    assert judged.share == pytest.approx(share)
    assert judged.explanation == "It is 2.2."


@pytest.mark.parametrize(
    ("answer", "verdict", "share"),
    [(["a", "b"], Verdict.CORRECT, 1.0), (["a"], Verdict.PARTIAL, 0.5), (["c"], Verdict.INCORRECT, 0.0)],
)
def test_a_forecast_of_keys_counts_like_multi(answer: Any, verdict: Verdict, share: float) -> None:
    options = tuple(Option(key=k, text=k) for k in "abc")
    judged = grade(question(QuestionKind.PREDICT, options=options), Truth(answer=["b", "a"]), answer)
    assert judged.verdict is verdict
    assert judged.share == pytest.approx(share)
    assert "became a, b" in judged.message


def test_a_wrong_choice_names_the_misconception_not_the_answer() -> None:
    judged = grade(question(QuestionKind.CHOICE), Truth(answer="a"), "b")
    assert judged.message == "Not b."


def test_an_interval_widens_what_is_right() -> None:
    truth = Truth(answer=10, interval=(8, 12))
    assert grade(question(QuestionKind.NUMERIC), truth, 8.0).verdict is Verdict.CORRECT


def test_too_close_to_call_is_not_graded() -> None:
    judged = grade(question(QuestionKind.CHOICE), Truth(answer=None, interval=(0.9, 1.1)), "a")
    assert judged.verdict is Verdict.BLOCKED
    assert "too close to call" in judged.message


def test_blocked_names_the_step() -> None:
    judged = grade(question(QuestionKind.CHOICE), Truth(answer=None, blocked="archlab clock advance 1d"), "a")
    assert (judged.verdict, judged.message) == (Verdict.BLOCKED, "archlab clock advance 1d")


def test_a_state_not_reached_says_what_was_looked_for_and_seen() -> None:
    judged = grade(question(QuestionKind.STATE), Truth(answer=False, saw="one day.", looked_for="two days."), None)
    assert judged.message == "Looked for: two days. Seen: one day."


def _raises(_evidence: Evidence, _variant: Variant) -> Truth:
    raise KeyError("lost")


def test_a_truth_that_raises_is_our_fault() -> None:
    evidence = World().evidence()
    judged = ask(_raises, evidence, evidence.variant)
    assert isinstance(judged, Grade)
    assert grade(question(QuestionKind.CHOICE), judged, "a").verdict is Verdict.PLATFORM_ERROR
    assert "KeyError" in judged.trace
    assert "in _raises" in judged.trace


def test_a_figure_that_is_missing_shows_as_a_question_mark() -> None:
    assert explain("{a} and {b:.2f}", {"a": 1}) == "1 and ?"


@given(
    st.lists(st.sampled_from("abcd"), unique=True, min_size=1),
    st.lists(st.sampled_from("abcd"), unique=True, min_size=1),
)
def test_only_the_very_set_earns_everything(right: list[str], given_keys: list[str]) -> None:
    judged = grade(question(QuestionKind.MULTI), Truth(answer=right), given_keys)
    assert 0 <= judged.share <= 1
    assert (judged.verdict is Verdict.CORRECT) == (set(right) == set(given_keys))


@given(st.permutations("abcd"), st.permutations("abcd"))
def test_only_the_very_order_earns_everything(right: list[str], given_keys: list[str]) -> None:
    judged = grade(question(QuestionKind.ORDER), Truth(answer=right), given_keys)
    assert 0 <= judged.share <= 1
    assert (judged.verdict is Verdict.CORRECT) == (right == given_keys)
