"""Solutions are full, declared mistakes are not and say why: over every lab and variant at hand."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from archlab.grading.answers import sound
from archlab.grading.content import Pack
from archlab.grading.grade import Grade, ask
from archlab.grading.judging import judge
from archlab.grading.proof import wrong
from archlab.grading.proof.findings import Check, Finding, shown
from archlab.grading.proof.recording import Take
from archlab.grading.proof.solutions import Solutions
from archlab.grading.rules import with_trial
from archlab.spec.grading import Evidence, Mistake, Question, QuestionKind, Truth, Verdict

KEYED = (QuestionKind.CHOICE, QuestionKind.MULTI)


@dataclass(frozen=True, slots=True)
class World:
    """One question under one variant: the evidence that judges it, the truth, and the reference's answer."""

    seed: int
    evidence: Evidence
    truth: Truth | Grade
    answer: Any
    """What the reference solution says; None for a state."""
    fault: str = ""
    """Why the reference solution says nothing."""


def world(pack: Pack, solutions: Solutions, question: Question, take: Take) -> World:
    """What a take has to say about a question."""
    answer, fault = _reference(solutions, question, take)
    evidence = with_trial(pack, question, answer, take.judged_by(question)) if answer else take.judged_by(question)
    truth = ask(pack.truth(question), evidence, evidence.variant)
    return World(take.seed, evidence, truth, answer, fault)


def untouched(pack: Pack, question: Question, takes: Sequence[Take]) -> Iterator[Finding]:
    """Nothing happened: a state is not reached, a forecast's experiment has not run."""
    for take in takes:
        truth = ask(pack.truth(question), take.start, take.start.variant)
        if isinstance(truth, Grade):
            yield Finding(question.id, Check.UNTOUCHED, "a truth that can be computed", truth.message, take.seed)
        elif question.kind is QuestionKind.STATE and truth.answer is True:
            yield Finding(question.id, Check.UNTOUCHED, "less than full on an untouched lab", "full", take.seed)
        elif question.kind is QuestionKind.PREDICT and not truth.blocked:
            yield Finding(question.id, Check.UNTOUCHED, "blocked until the experiment ran", "not blocked", take.seed)


def solved(pack: Pack, solutions: Solutions, question: Question, worlds: Sequence[World]) -> Iterator[Finding]:
    """The reference solution is full in every variant; one finding for all that share its cause."""
    if solutions.of(question) is None:
        expected = f"a function {question.id.replace('-', '_')} in {solutions.path.name}"
        yield Finding(question.id, Check.SOLUTION, expected, "none")
        return
    bad = [(w, problem) for w in worlds if (problem := _problem(pack, question, w))]
    if bad:
        first, problem = bad[0]
        more = f" (and in {len(bad) - 1} further variants of {len(worlds)})" if len(bad) > 1 else ""
        yield Finding(question.id, Check.SOLUTION, "full for the reference solution", problem + more, first.seed)


def mistaken(
    pack: Pack, solutions: Solutions, question: Question, worlds: Sequence[World], takes: Sequence[Take]
) -> Iterator[Finding]:
    """Every kind declares wrong answers; each is less than full, and told its misconception."""
    if question.kind in KEYED:
        yield from _options(pack, question, worlds)
    elif question.kind is QuestionKind.DESIGN:
        yield from wrong.naive_designs(pack, question, takes)
    elif not question.mistakes:
        yield Finding(question.id, Check.MISTAKE, "declared mistakes", "none")
    for mistake in question.mistakes:
        if question.kind is QuestionKind.STATE:
            yield from wrong.state(pack, question, mistake, takes)
        elif question.kind is QuestionKind.REGO:
            yield from wrong.rule(pack, solutions, question, mistake, takes)
        elif question.kind is not QuestionKind.DESIGN:
            yield from _wrong_answer(pack, question, mistake, worlds)


def _reference(solutions: Solutions, question: Question, take: Take) -> tuple[Any, str]:
    function = solutions.of(question)
    if function is None:
        return None, ""
    if inspect.isgeneratorfunction(function):
        solved = take.solved.get(question.id)
        return (solved.answer, "") if solved else (None, "its script was not carried out")
    try:
        return function(take.prepared, take.prepared.variant), ""
    except Exception as error:  # noqa: BLE001 - content may fail in any way; the proof says how
        return None, f"the solution raises {type(error).__name__}: {error}"


def _problem(pack: Pack, question: Question, world: World) -> str:
    """Why the reference is not full; empty when it is."""
    if world.fault:
        return world.fault
    if isinstance(world.truth, Grade):
        return world.truth.message
    judged = judge(pack, question, world.evidence, _typed(question, world.answer))
    if judged.verdict is Verdict.CORRECT:
        return ""
    said = "" if question.kind is QuestionKind.STATE else f" for {shown(world.answer)}; the truth says {_truth(world)}"
    return f"{judged.verdict.value}{said}: {shown(judged.message)}"


def _typed(question: Question, answer: Any) -> Any:
    """An answer as `answers.parse` gives it: keys of a multi are sorted there, and solutions need not care."""
    return sorted(answer) if question.kind is QuestionKind.MULTI and isinstance(answer, list | tuple | set) else answer


def _truth(world: World) -> str:
    return shown(world.truth.answer) if isinstance(world.truth, Truth) else "nothing"


def _options(pack: Pack, question: Question, worlds: Sequence[World]) -> Iterator[Finding]:
    """An option that is wrong somewhere says why; one that is wrong nowhere has nothing to say."""
    for option in question.options:
        off = [w for w in worlds if isinstance(w.truth, Truth) and not _right(w.truth, option.key)]
        if off and not option.misconception:
            expected = f"a misconception for option {option.key}"
            yield Finding(question.id, Check.MISTAKE, expected, "none, and it is wrong", off[0].seed)
        for w in off:
            judged = judge(
                pack, question, w.evidence, option.key if question.kind is QuestionKind.CHOICE else [option.key]
            )
            if judged.verdict is Verdict.CORRECT or option.misconception.strip() not in judged.message:
                expected = f"option {option.key} wrong and told its misconception"
                yield Finding(question.id, Check.MISTAKE, expected, f"{judged.verdict.value}: {judged.message}", w.seed)
                break


def _right(truth: Truth, key: str) -> bool:
    return key == truth.answer or (isinstance(truth.answer, list | tuple) and key in truth.answer)


def _wrong_answer(pack: Pack, question: Question, mistake: Mistake, worlds: Sequence[World]) -> Iterator[Finding]:
    """In at least one variant it leads to a wrong answer that is told this misconception, and never to a failure."""
    told, others = 0, ""
    for w in worlds:
        try:
            led_to = pack.mistakes[mistake.name](w.evidence, w.evidence.variant)
        except Exception as error:  # noqa: BLE001 - content may fail in any way; the proof says how
            found = f"it raises {type(error).__name__}: {error}"
            yield Finding(question.id, Check.MISTAKE, f"mistake {mistake.name} can be computed", found, w.seed)
            return
        if led_to is None:
            continue
        answer = _given(led_to)
        if not sound(question, answer):
            found = f"{shown(led_to)}, which is no answer to this question"
            yield Finding(question.id, Check.MISTAKE, f"mistake {mistake.name} leads to an answer", found, w.seed)
            return
        judged = judge(pack, question, w.evidence, _typed(question, answer))
        told += judged.mistake == mistake.name
        others = others or f"{shown(led_to)} is {judged.verdict.value}{wrong.instead(judged)}"
    if not told:
        expected = f"mistake {mistake.name} wrong and named in at least one variant"
        yield Finding(question.id, Check.MISTAKE, expected, others or "it never leads to an answer")


def _given(led_to: Any) -> Any:
    """A mistake may tie keys, as truths do; an answer can't."""
    flat = (k for group in led_to for k in ([group] if isinstance(group, str) else group)) if _listed(led_to) else ()
    return list(flat) if _listed(led_to) else led_to


def _listed(value: Any) -> bool:
    return isinstance(value, list | tuple)
