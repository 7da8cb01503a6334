"""Declared wrong states, rules and designs: less than full, and told their misconception."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archlab.experiments.holding import noise, with_nothing_between
from archlab.grading.content import Pack
from archlab.grading.designs import dump
from archlab.grading.grade import Grade
from archlab.grading.judging import alike, judge
from archlab.grading.proof.findings import Check, Finding
from archlab.grading.proof.recording import Take
from archlab.grading.proof.solutions import Solutions
from archlab.grading.rules import with_trial
from archlab.spec.grading import Mistake, Question, Verdict


def instead(judged: Grade) -> str:
    """Which other mistake was named, for a finding."""
    return f", named {judged.mistake}" if judged.mistake else ""


def state(pack: Pack, question: Question, mistake: Mistake, takes: Sequence[Take]) -> Iterator[Finding]:
    """Some lab was brought there; it is less than full and told this misconception. A solved lab does not show it."""
    shown_by = [(t.seed, e) for t in takes if (e := t.wrong.get((question.id, mistake.name))) is not None]
    if not shown_by:
        expected = f"a script {mistake.name} in solutions.py that brings a lab there"
        yield Finding(question.id, Check.MISTAKE, expected, "none was carried out")
    for seed, evidence in shown_by:
        judged = judge(pack, question, evidence, None)
        if judged.mistake != mistake.name:
            expected = f"the state of mistake {mistake.name} wrong and named"
            found = f"{judged.verdict.value}{instead(judged)}: {judged.message}"
            yield Finding(question.id, Check.MISTAKE, expected, found, seed)
    for take in takes:
        solved = take.solved.get(question.id)
        if solved is None:
            continue
        try:
            seen = alike(question, pack.mistakes[mistake.name](solved.evidence, solved.evidence.variant), None)
        except Exception as error:  # noqa: BLE001 - content may fail in any way; the proof says how
            found = f"it raises {type(error).__name__}: {error}"
            yield Finding(question.id, Check.MISTAKE, f"mistake {mistake.name} can be computed", found, take.seed)
            continue
        if seen:
            found = "it sees the misconception there as well"
            yield Finding(
                question.id, Check.MISTAKE, f"mistake {mistake.name} not seen in a solved lab", found, take.seed
            )


def rule(
    pack: Pack, solutions: Solutions, question: Question, mistake: Mistake, takes: Sequence[Take]
) -> Iterator[Finding]:
    """A wrong rule of that name is in solutions.py; tried on the hidden inputs it is less than full and named."""
    text = solutions.text(mistake)
    if text is None:
        expected = f"a function {mistake.name} in solutions.py that returns such a rule"
        yield Finding(question.id, Check.MISTAKE, expected, "none")
        return
    for take in takes:
        evidence = take.judged_by(question)
        try:
            submitted = text(evidence, evidence.variant)
        except Exception as error:  # noqa: BLE001 - content may fail in any way; the proof says how
            found = f"it raises {type(error).__name__}: {error}"
            yield Finding(question.id, Check.MISTAKE, f"a rule of mistake {mistake.name}", found, take.seed)
            return
        judged = judge(pack, question, with_trial(pack, question, submitted, evidence), submitted)
        if judged.verdict is Verdict.CORRECT or judged.mistake != mistake.name:
            expected = f"the rule of mistake {mistake.name} wrong and named"
            found = f"{judged.verdict.value}{instead(judged)}: {judged.message}"
            yield Finding(question.id, Check.MISTAKE, expected, found, take.seed)


def naive_designs(pack: Pack, question: Question, takes: Sequence[Take]) -> Iterator[Finding]:
    """Each naive design, submitted, is less than full; declared mistakes are named by one of them at least."""
    named: set[str] = set()
    measured = [s.evidence for t in takes if (s := t.solved.get(question.id)) and s.evidence.design]
    for evidence in measured:
        trial = evidence.design
        if trial and noise(trial.reference) and with_nothing_between(trial) is None:
            expected = (
                "a naive design with nothing between the noisy team and the others, to compare what they felt with"
            )
            found = ", ".join(run.name for run in trial.naive)
            yield Finding(question.id, Check.MISTAKE, expected, found, evidence.variant.seed)
        for run in trial.naive if trial else ():
            submitted = evidence.model_copy(update={"design": trial and trial.model_copy(update={"submitted": run})})
            judged = judge(pack, question, submitted, dump(run.overrides))
            named.add(judged.mistake)
            if judged.verdict is Verdict.CORRECT:
                expected = f"the naive design {run.name} less than full"
                yield Finding(question.id, Check.MISTAKE, expected, judged.message, evidence.variant.seed)
    for mistake in question.mistakes if measured else ():
        if mistake.name not in named:
            expected = f"mistake {mistake.name} named for one of the naive designs"
            yield Finding(question.id, Check.MISTAKE, expected, f"named: {', '.join(sorted(named - {''})) or 'none'}")
