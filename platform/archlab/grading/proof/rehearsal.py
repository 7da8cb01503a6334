"""Carries solutions and declared wrong states out on live labs, and keeps what the labs showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from archlab.errors import ArchlabError
from archlab.grading.content import Pack
from archlab.grading.practice import Practice
from archlab.grading.proof.findings import Check, Finding, shown
from archlab.grading.proof.recording import Solved, Take
from archlab.grading.proof.solutions import Solution, Solutions
from archlab.spec.grading import Evidence, Question, QuestionKind


class Stage(Protocol):
    """A lab that scripts may change: `scratch.Scratch`."""

    @property
    def folder(self) -> Path:
        """The lab's folder."""

    def up(self, seed: int) -> None:
        """Bring it up, new."""

    def run(self, command: str) -> None:
        """One command as the learner; an ArchlabError when it fails."""

    def evidence(self) -> Evidence:
        """A picture of it."""

    def keep(self) -> None:
        """Make it as it stands the one that `restart` returns to."""

    def restart(self) -> None:
        """Back to what was kept."""


@dataclass(slots=True)
class Rehearsal:
    """One seed's lab and what comes of it.

    Args:
        pack: questions and truths.
        solutions: what is carried out.
        lab: a scratch lab, not yet up.
        asked: questions whose scripts run.
    """

    pack: Pack
    solutions: Solutions
    lab: Stage
    asked: Sequence[Question]
    findings: list[Finding] = field(default_factory=list)
    _seed: int = 0

    def take(self, seed: int, *, mistakes: bool) -> Take:
        """Untouched, prepared, then script by script, each from the prepared lab on.

        Args:
            seed: which variant.
            mistakes: whether wrong states are brought about as well.

        Raises:
            ArchlabError: the lab does not come up, or can't be prepared.
        """
        self._seed = seed
        self.lab.up(seed)
        start = self.lab.evidence()
        for command in self.solutions.prepare:
            self.lab.run(command)
        self.lab.keep()
        prepared = self.lab.evidence()
        solved: dict[str, Solved] = {}
        wrong: dict[tuple[str, str], Evidence] = {}
        for question in self.asked:
            scripts = self.solutions.scripts(question)
            if scripts:
                self.lab.restart()
                if mistakes:
                    wrong |= self._wrong(question, scripts)
                if "" in scripts and (found := self._solve(question, scripts[""])) is not None:
                    solved[question.id] = found
        return Take(seed, start, prepared, solved, wrong)

    def _wrong(self, question: Question, scripts: Mapping[str, Solution]) -> dict[tuple[str, str], Evidence]:
        """Every wrong state of a question, one after the other; each goes on where the last one left the lab."""
        found: dict[tuple[str, str], Evidence] = {}
        for mistake in question.mistakes:
            if mistake.name in scripts and (played := self._play(question, mistake.name, scripts[mistake.name])):
                found[question.id, mistake.name] = played.evidence
        return found

    def _solve(self, question: Question, script: Solution) -> Solved | None:
        played = self._play(question, "", script)
        if played is not None and question.kind is QuestionKind.PREDICT:
            self._was_committed(question, played.answer)
        if played is not None and question.kind is QuestionKind.DESIGN:
            return self._submitted(question, played)
        return played

    def _submitted(self, question: Question, played: Solved) -> Solved | None:
        """What was measured of a design is in its attempt, not in the lab."""
        practice = Practice(self.pack, self.lab.folder, self.lab.evidence)
        last = practice.standing(question.id).last
        if last is None:
            self._note(question, Check.SOLUTION, "its script hands a design in", "no attempt is in the gradebook")
            return None
        return Solved(practice.store.get(last.evidence), last.answer, played.commands)

    def _was_committed(self, question: Question, answer: Any) -> None:
        """A forecast has to be in the gradebook, as a learner's would, and before its experiment."""
        stand = Practice(self.pack, self.lab.folder, self.lab.evidence).standing(question.id)
        said = stand.forecast.answer if stand.forecast else None
        if not _same_forecast(said, answer):
            expected = f"its script commits what it returns, {shown(answer)}, before the experiment"
            self._note(question, Check.SOLUTION, expected, f"committed: {shown(said)}")

    def _play(self, question: Question, name: str, script: Solution) -> Solved | None:
        """Run a script; None, and a finding, when it does not come through."""
        check = Check.MISTAKE if name else Check.SOLUTION
        commands: list[str] = []
        try:
            evidence = self.lab.evidence()
            running = script(evidence, evidence.variant)
            command = next(running)
            while True:
                commands.append(command)
                self.lab.run(command)
                evidence = self.lab.evidence()
                command = running.send(evidence)
        except StopIteration as end:
            return Solved(evidence, end.value, tuple(commands))
        except ArchlabError as error:
            self._note(question, check, f"every command of script {name or question.id} succeeds", str(error))
        except Exception as error:  # noqa: BLE001 - content may fail in any way; the proof says how
            found = f"{type(error).__name__}: {error}"
            self._note(question, check, f"script {name or question.id} comes through", found)
        return None

    def _note(self, question: Question, check: Check, expected: str, found: str) -> None:
        self.findings.append(Finding(question.id, check, expected, found, self._seed))


def _same_forecast(said: Any, answer: Any) -> bool:
    """Keys in any order, or numbers nearly; a forecast that is missing is none."""
    if said is None or answer is None:
        return False
    if isinstance(said, list):
        return set(said) == set(answer)
    return bool(abs(said - answer) <= 1e-6 * abs(answer))
