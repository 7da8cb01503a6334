"""What learners read: mapped to competencies and exams, without the answer, explained with their own figures."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from archlab.grading.grade import Grade, grade
from archlab.grading.proof.answers import World
from archlab.grading.proof.findings import Check, Finding, shown
from archlab.grading.proof.seeds import MOSTLY
from archlab.spec.blueprint import Blueprints
from archlab.spec.grading import Question, QuestionKind, Truth, Verdict

TELLING_DIGITS = 3
"""A figure with fewer significant digits stands in many a sentence by chance."""

TELLING_CHARACTERS = 20
"""So does a shorter text."""

MIN_KEY_CHARACTERS = 4
"""Shorter option keys are ordinary words or letters."""

BRIEF = "brief"


def mapped(blueprints: Blueprints, question: Question) -> Iterator[Finding]:
    """At least one known competency and one domain of a known exam, which fit each other."""
    known = {f"{exam}/{domain}" for exam, found in blueprints.exams.items() for domain in found.domains}
    for what, given, all_known in (
        ("competency", question.competencies, set(blueprints.competencies)),
        ("domain", question.domains, known),
    ):
        if not given:
            yield Finding(question.id, Check.MAPPING, f"at least one {what} of blueprints.yaml", "none")
        for name in given:
            if name not in all_known:
                yield Finding(question.id, Check.MAPPING, f"a {what} of blueprints.yaml", f"{name}, which it lacks")
    belonging = {
        d for c in question.competencies if c in blueprints.competencies for d in blueprints.competencies[c].domains
    }
    for domain in question.domains:
        if domain in known and domain not in belonging:
            expected = f"a competency that belongs to {domain}"
            yield Finding(
                question.id, Check.MAPPING, expected, f"none of {', '.join(question.competencies) or 'none'} does"
            )


def explained(question: Question, worlds: Sequence[World]) -> Iterator[Finding]:
    """Every figure that the explanation quotes is among the truth's facts, and fits its format."""
    for w in worlds:
        if not isinstance(w.truth, Truth) or w.truth.blocked or (w.truth.answer is None and w.truth.interval):
            continue
        for name, spec in _quoted(question.explanation):
            problem = _unfit(w.truth.facts, name, spec)
            if problem:
                yield Finding(question.id, Check.EXPLANATION, f"a figure for {{{name}}}", problem, w.seed)
                return


def kept_back(question: Question, worlds: Sequence[World], brief: str, commands: Sequence[str]) -> Iterator[Finding]:
    """Neither the text, nor a hint, nor the brief gives the answer or a fact of the explanation away.

    Args:
        question: whose texts to read.
        worlds: the right answers and facts of many variants.
        brief: the scenario's README.
        commands: what a state's solution does; empty for other kinds.
    """
    for place, text in {**_texts(question), BRIEF: brief}.items():
        telling = _figure(question, worlds, text) or (_implied(question, worlds, text) if place != BRIEF else None)
        if telling is None and commands and all(c in text for c in commands):
            telling = (f"every command of the solution, {commands[0]} ...", None)
        if telling is not None:
            found, seed = telling
            yield Finding(question.id, Check.TEXTS, f"a {place} that keeps the answer back", f"it holds {found}", seed)


def _texts(question: Question) -> dict[str, str]:
    hints = {f"hint {n}": h.text for n, h in enumerate(question.hints, 1)}
    return {"text": f"{question.title}\n{question.text}", **hints}


def _quoted(template: str) -> Iterator[tuple[str, str]]:
    """Names and formats of the figures in a template."""
    for _, name, spec, _ in string.Formatter().parse(template):
        if name:
            yield name, spec or ""


def _unfit(facts: Mapping[str, Any], name: str, spec: str) -> str:
    if name not in facts:
        return "the truth gives none"
    try:
        format(facts[name], spec)
    except ValueError as error:
        return f"{shown(facts[name])}: {error}"
    return ""


def _figure(question: Question, worlds: Sequence[World], text: str) -> tuple[str, int | None] | None:
    """A number of the answer, or a fact of the explanation, that stands in a text."""
    for w in worlds:
        if not isinstance(w.truth, Truth) or w.truth.blocked:
            continue
        for figure in (*_answer_figures(question, w.truth), *_fact_figures(question, w.truth)):
            if re.search(rf"(?<![\w.,-]){re.escape(figure)}(?![\w-]|[.,]\d)", text):
                return figure, w.seed
    return None


def _answer_figures(question: Question, truth: Truth) -> list[str]:
    if question.kind not in (QuestionKind.NUMERIC, QuestionKind.PREDICT) or question.options or truth.answer is None:
        return []
    number = float(truth.answer)
    written = {f"{number:{form}}" for form in (".0f", ",.0f", ".1f", ",.1f", ".2f", ",.2f", ".3f", ".3g", ".4g")}
    return sorted(w for w in written if _telling(w))


def _fact_figures(question: Question, truth: Truth) -> list[str]:
    written = [
        format(truth.facts[name], spec)
        for name, spec in _quoted(question.explanation)
        if not _unfit(truth.facts, name, spec)
    ]
    return [w.strip() for w in written if _telling(w)]


def _telling(written: str) -> bool:
    if re.fullmatch(r"[-+]?[\d.,]+", written):
        return len(re.sub(r"\D", "", written).strip("0")) >= TELLING_DIGITS
    return len(written) >= TELLING_CHARACTERS


def _implied(question: Question, worlds: Sequence[World], text: str) -> tuple[str, int | None] | None:
    """Options that a text names, and no others, where that is the answer in most variants."""
    places = sorted((_place(o.key, o.text, text), o.key) for o in question.options)
    named = [key for at, key in places if at >= 0]
    every = len(named) == len(question.options)
    if not named or (every and question.kind is not QuestionKind.ORDER):
        return None
    if question.kind is QuestionKind.CHOICE and len(named) > 1:
        return None
    if question.kind is QuestionKind.ORDER and not every:
        return None
    answer = named[0] if question.kind is QuestionKind.CHOICE else named
    known = [w for w in worlds if not isinstance(w.truth, Grade)]
    right = sum(grade(question, w.truth, answer).verdict is Verdict.CORRECT for w in known)
    return (
        (f"{shown(answer)}, right in {right} of {len(known)} variants", None) if right > MOSTLY * len(known) else None
    )


def _place(key: str, option: str, text: str) -> int:
    """Where a text first names an option; -1 when it does not."""
    wanted = [w for w in (key, option) if len(w) >= MIN_KEY_CHARACTERS]
    found = [m.start() for w in wanted if (m := re.search(rf"(?<![\w-]){re.escape(w)}(?![\w-])", text, re.IGNORECASE))]
    return min(found, default=-1)
