"""Practice: attempts, hints, forecasts, states; what is recorded and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archlab.errors import NotFoundError
from archlab.grading.practice import Practice
from archlab.spec.gradebook import Attempt, Forecast
from archlab.spec.grading import Verdict

if TYPE_CHECKING:
    from archlab.grading.content import Pack


def test_attempts_decay_and_the_best_counts(practice: Practice) -> None:
    outcomes = [practice.answer("pick", raw) for raw in ("left", "right", "up")]
    assert [o.verdict for o in outcomes] == [Verdict.INCORRECT, Verdict.CORRECT, Verdict.INCORRECT]
    assert [o.points for o in outcomes] == [0, 7, 0]
    assert practice.standing("pick").points == 7
    assert outcomes[0].message == "Left is too dear."
    assert outcomes[0].explanation == ""
    assert outcomes[1].explanation == "It costs 1.50 USD."


def test_three_wrong_attempts_settle_a_question(practice: Practice) -> None:
    shown = [practice.answer("pick", raw).explanation for raw in ("left", "up", "down")]
    assert shown == ["", "", "It costs 1.50 USD."]


def test_the_same_answer_again_spends_nothing(practice: Practice) -> None:
    first = practice.answer("pick", "left")
    assert practice.answer("pick", "left") == first
    practice.answer("pick", "right")
    assert practice.answer("pick", "left").verdict is Verdict.INCORRECT
    assert practice.standing("pick").spent == 2


def test_hints_cost_and_are_recorded(practice: Practice) -> None:
    assert [h.text for h in practice.hint("pick")] == ["Think."]
    assert [h.text for h in practice.hint("pick")] == ["Think.", "Think harder."]
    assert len(practice.hint("pick")) == 2
    assert len(practice.book.entries()) == 2
    assert practice.answer("pick", "right").points == 5


def test_hints_are_free_once_it_is_settled(practice: Practice) -> None:
    practice.answer("pick", "right")
    assert len(practice.hint("pick")) == 2
    assert len(practice.book.entries()) == 1


def test_an_unreadable_answer_spends_nothing(practice: Practice) -> None:
    outcome = practice.answer("pick", "sideways")
    assert outcome.verdict is Verdict.INVALID
    assert "left, right" in outcome.message
    assert practice.book.entries() == ()


def test_our_fault_spends_no_attempt_and_leaves_a_trace(practice: Practice, tmp_path: Path) -> None:
    outcome = practice.answer("broken", "1")
    assert outcome.verdict is Verdict.PLATFORM_ERROR
    assert practice.standing("broken").spent == 0
    log = (tmp_path / "lab" / "log" / "grading.log").read_text()
    assert "ZeroDivisionError: oops" in log


def test_an_unknown_question(practice: Practice) -> None:
    with pytest.raises(NotFoundError):
        practice.answer("nothing", "1")


def test_a_forecast_is_committed_then_judged_by_what_happened(
    practice: Practice, advance: Callable[[int], None]
) -> None:
    committed = practice.answer("guess", "2.1")
    assert committed.verdict is None
    assert "archlab clock advance 1d" in committed.message
    (waiting,) = practice.grade(["guess"])
    assert waiting.verdict is Verdict.BLOCKED
    advance(2)
    (judged,) = practice.grade(["guess"])
    assert (judged.verdict, judged.points) == (Verdict.CORRECT, 10)
    assert judged.message.startswith("You forecast 2.1 days; it became 2 days.")
    assert judged.explanation == "2 days."
    (again,) = practice.grade(["guess"])
    assert (again.verdict, again.explanation) == (Verdict.CORRECT, "2 days.")
    attempts = [e for e in practice.book.entries() if isinstance(e, Attempt) and e.verdict is Verdict.CORRECT]
    assert len(attempts) == 1


def test_the_evidence_of_a_forecast_is_from_before_the_experiment(
    practice: Practice, advance: Callable[[int], None]
) -> None:
    practice.answer("guess", "1")
    advance(1)
    (forecast,) = [e for e in practice.book.entries() if isinstance(e, Forecast)]
    assert practice.store.get(forecast.evidence).daily == ()


def test_a_forecast_may_be_replaced_before_and_not_after(practice: Practice, advance: Callable[[int], None]) -> None:
    practice.answer("guess", "7")
    assert "replaces 7" in practice.answer("guess", "1").message
    advance(1)
    late = practice.answer("guess", "1.0")
    assert late.verdict is Verdict.BLOCKED
    assert "your forecast of 1 stands" in late.message
    assert practice.grade(["guess"])[0].verdict is Verdict.CORRECT


def test_after_the_fact_is_no_forecast(practice: Practice, advance: Callable[[int], None]) -> None:
    advance(1)
    for outcome in (practice.answer("guess", "1"), practice.grade(["guess"])[0]):
        assert outcome.verdict is Verdict.BLOCKED
        assert "archlab reset" in outcome.message
    assert not any(isinstance(e, Forecast) for e in practice.book.entries())


def test_without_a_forecast_grading_says_how_to_commit_one(practice: Practice) -> None:
    assert "archlab answer guess VALUE" in practice.grade(["guess"])[0].message


def test_a_state_is_checked_as_often_as_one_likes(practice: Practice, advance: Callable[[int], None]) -> None:
    first = [practice.grade(["reach"])[0] for _ in range(3)]
    assert {o.verdict for o in first} == {Verdict.INCORRECT}
    assert first[0].message == "Looked for: two days. Seen: 0 days."
    assert len(practice.book.entries()) == 1
    advance(2)
    (reached,) = practice.grade(["reach"])
    assert (reached.verdict, reached.points) == (Verdict.CORRECT, 5)
    assert practice.standing("reach").points == 5


def test_attempts_are_judged_again_from_evidence_with_the_lab_gone(
    practice: Practice, advance: Callable[[int], None], pack: Pack, tmp_path: Path
) -> None:
    practice.answer("pick", "left")
    practice.answer("guess", "1")
    advance(1)
    practice.grade()

    def gone() -> None:
        raise AssertionError("regrading must not ask the lab")

    later = Practice(pack, tmp_path / "lab", gone)  # type: ignore[arg-type]
    regraded = later.regrade()
    assert len(regraded) == 3
    assert all(r.agrees for r in regraded)


def test_evidence_that_is_gone_is_said(practice: Practice, tmp_path: Path) -> None:
    practice.answer("pick", "left")
    for path in (tmp_path / "lab" / "evidence").iterdir():
        path.unlink()
    (regraded,) = practice.regrade()
    assert regraded.now is None
    assert "is not in" in regraded.message


def test_the_sheet_shows_every_question(practice: Practice) -> None:
    practice.answer("pick", "right")
    assert [(s.question.id, s.points) for s in practice.sheet()] == [
        ("pick", 10),
        ("guess", 0),
        ("reach", 0),
        ("broken", 0),
    ]


def test_one_look_at_the_lab_serves_all_questions(practice: Practice, laboratory: object) -> None:
    practice.grade()
    assert getattr(laboratory, "taken") == 1  # noqa: B009


def test_an_attempt_is_on_disk_when_the_answer_returns(practice: Practice, tmp_path: Path) -> None:
    started = time.time()
    practice.answer("pick", "right")
    written = (tmp_path / "lab" / "gradebook.jsonl").stat().st_mtime
    assert written >= started - 1
    assert practice.book.verify().entries == 1
