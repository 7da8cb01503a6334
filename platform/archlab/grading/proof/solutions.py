"""A scenario's reference solutions: functions over evidence, and scripts of commands that bring a lab somewhere."""

from __future__ import annotations

import hashlib
import inspect
import linecache
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlab.errors import SpecError
from archlab.grading.content import load_module
from archlab.spec.grading import Evidence, Mistake, Question, QuestionKind
from archlab.spec.scenario import Variant

Script = Generator[str, Evidence, Any]
"""Yields commands as a learner types them, is sent the evidence after each, returns the answer."""

Solution = Callable[[Evidence, Variant], Any]
"""Returns the answer, or a Script."""


@dataclass(frozen=True, slots=True)
class Solutions:
    """What `solution/solutions.py` holds."""

    path: Path
    prepare: tuple[str, ...]
    """Commands after which every plain function can answer."""
    functions: Mapping[str, Solution]

    def of(self, question: Question) -> Solution | None:
        """How a question is solved."""
        return self.functions.get(question.id.replace("-", "_"))

    def script(self, question: Question) -> Solution | None:
        """How a question is solved, when that takes commands."""
        found = self.of(question)
        return found if found is not None and is_script(found) else None

    def wrong(self, mistake: Mistake) -> Solution | None:
        """How a state's declared mistake is brought about."""
        found = self.functions.get(mistake.name)
        return found if found is not None and is_script(found) else None

    def text(self, mistake: Mistake) -> Solution | None:
        """A wrong rule that shows a rego question's declared mistake."""
        found = self.functions.get(mistake.name)
        return None if found is None or is_script(found) else found

    def scripts(self, question: Question) -> dict[str, Solution]:
        """Every script of a question by name: its solution's, and a state's mistakes'."""
        found = {"": self.script(question)}
        if question.kind is QuestionKind.STATE:
            found |= {m.name: self.wrong(m) for m in question.mistakes}
        return {name: script for name, script in found.items() if script is not None}

    def digest(self, question: Question) -> str:
        """Of the scripts of a question and of what every lab is prepared with: what a recording stands for."""
        linecache.checkcache(str(self.path))
        parts = [*self.prepare, *(inspect.getsource(s) for _, s in sorted(self.scripts(question).items()))]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def is_script(solution: Solution) -> bool:
    """Whether it yields commands."""
    return inspect.isgeneratorfunction(solution)


def load(folder: Path) -> Solutions:
    """The solutions in a scenario's folder.

    Raises:
        SpecError: the file is missing, fails to import, or its PREPARE is no tuple of commands.
    """
    path = folder / "solution" / "solutions.py"
    module = load_module(path)
    prepare = getattr(module, "PREPARE", ())
    if not isinstance(prepare, tuple) or not all(isinstance(c, str) for c in prepare):
        raise SpecError(f"{path}: PREPARE has to be a tuple of commands, e.g. ('archlab clock advance 1d',).")
    own = {n: f for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__}
    return Solutions(path, prepare, own)
