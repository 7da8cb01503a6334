"""Decisions differ between seeds, and an answer copied from another seed is mostly wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from archlab.grading.grade import Grade, grade
from archlab.grading.proof.answers import World
from archlab.grading.proof.findings import Check, Finding, shown
from archlab.spec.grading import Question, QuestionKind, Verdict

MOSTLY = 0.5
"""Over all questions, copied answers are full in less than this share of the pairs of seeds."""

ONE_QUESTION = 0.67
"""Over a single question, whose decision may have two outcomes only, in less than this."""

UNVARIED = (QuestionKind.STATE, QuestionKind.DESIGN, QuestionKind.REGO)
"""Answered by what the lab, a measurement or hidden inputs show: there is no answer to copy."""


def copied(question: Question, worlds: Sequence[World]) -> float | None:
    """Share of the pairs of seeds in which one's right answer is full for the other; None where none can be copied."""
    known = [w for w in worlds if not isinstance(w.truth, Grade) and not w.truth.blocked and w.truth.answer is not None]
    if question.kind in UNVARIED or len(known) < 2:
        return None
    answers = [_copied(question, w) for w in known]
    pairs = [(a, b) for a, b in itertools.product(range(len(known)), repeat=2) if a != b]
    full = sum(grade(question, known[b].truth, answers[a]).verdict is Verdict.CORRECT for a, b in pairs)
    return full / len(pairs)


def differing(question: Question, worlds: Sequence[World]) -> Iterator[Finding]:
    """Copy every seed's right answer to every other seed."""
    share = copied(question, worlds)
    if share is not None and share == 1:
        truth = next(w.truth for w in worlds if not isinstance(w.truth, Grade))
        yield Finding(question.id, Check.SEEDS, f"different answers over {len(worlds)} variants", shown(truth.answer))
    elif share is not None and share >= ONE_QUESTION:
        expected = f"an answer copied from another seed full in less than {ONE_QUESTION:.0%} of pairs of seeds"
        yield Finding(question.id, Check.SEEDS, expected, f"full in {share:.0%}")


def differing_overall(shares: Sequence[float]) -> Iterator[Finding]:
    """A whole sheet copied from another seed is mostly wrong."""
    if shares and (mean := sum(shares) / len(shares)) >= MOSTLY:
        expected = f"a sheet copied from another seed full in less than {MOSTLY:.0%} of its answers"
        yield Finding("", Check.SEEDS, expected, f"full in {mean:.0%}")


def _copied(question: Question, world: World) -> Any:
    """The right answer of one seed, as its learner would give it."""
    assert not isinstance(world.truth, Grade)
    answer = world.truth.answer
    if question.kind is QuestionKind.ORDER:
        return [k for group in answer for k in ([group] if isinstance(group, str) else group)]
    if question.kind is QuestionKind.MULTI:
        return sorted(answer)
    return answer
