"""A scenario's questions and the functions that know their answers, the usual wrong ones, and which hint fits."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import ValidationInfo, field_validator, model_validator

from archlab.errors import NotFoundError, SpecError
from archlab.grading.rules import Cases
from archlab.plan import loading
from archlab.spec.base import Spec
from archlab.spec.grading import Evidence, Question, QuestionKind, Truth
from archlab.spec.scenario import Overrides, Scenario, Variant

TruthFunction = Callable[[Evidence, Variant], Truth]
"""Pure: what is right, from evidence alone."""

MistakeFunction = Callable[[Evidence, Variant], Any]
"""Pure: the answer that a misconception leads to, as a truth's `answer`; for a state, whether the lab shows it.

None where this variant gives the misconception nothing to go wrong with.
"""

Predicate = Callable[[Evidence, Variant], bool]
"""Pure: whether a hint fits the lab as it stands."""

DesignFunction = Callable[[Scenario, Mapping[str, int]], Overrides]
"""Pure: a design for a scenario as resolved, given the replayed requests of each model on the hidden days."""

GRADER = "1"
"""Version of the rules in `archlab.grading.grade`; a change of them changes it."""

_YOURS = re.compile(r"\{your\.([a-z][a-z0-9-]*)\}")
_WITH_OPTIONS = (QuestionKind.CHOICE, QuestionKind.MULTI, QuestionKind.ORDER)
_NUMBERS = (QuestionKind.NUMERIC, QuestionKind.PREDICT)


class _Checked(Question):
    """A question whose fields fit its kind."""

    @field_validator("tolerance_percent", "near_percent")
    @classmethod
    def _sensible(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and not 0 < value <= 100:
            raise ValueError(f"{info.field_name} is a percentage above 0")
        return value

    @model_validator(mode="after")
    def _fits(self) -> _Checked:
        optional = self.kind is QuestionKind.PREDICT
        if not optional and (self.kind in _WITH_OPTIONS) != bool(self.options):
            raise ValueError(f"a question of kind {self.kind} {'needs' if not self.options else 'has no'} options")
        number = self.kind in _NUMBERS and not self.options
        if number != (self.tolerance_percent is not None):
            raise ValueError(f"tolerance_percent belongs to answers that are numbers, which {self.kind} is not here")
        if (self.kind is QuestionKind.REGO) != bool(self.rule and self.cases):
            raise ValueError("rule and cases belong to questions of kind rego, and to no other")
        if self.near_percent is not None and self.near_percent <= (self.tolerance_percent or 0):
            raise ValueError("near_percent has to be wider than tolerance_percent")
        if (self.kind is QuestionKind.DESIGN) != (self.design is not None):
            raise ValueError(f"a question of kind {self.kind} {'has no' if self.design else 'needs a'} design")
        keys = [o.key for o in self.options]
        if len(set(keys)) != len(keys):
            raise ValueError("two options share a key")
        if sum(h.cost_percent for h in self.hints) > 100:
            raise ValueError("the hints cost more than the question is worth")
        names = [m.name for m in self.mistakes]
        if len(set(names)) != len(names):
            raise ValueError("two mistakes share a name")
        return self


class _File(Spec):
    format: Literal["archlab/questions/v1"]
    questions: tuple[_Checked, ...]

    @model_validator(mode="after")
    def _unique(self) -> _File:
        ids = [q.id for q in self.questions]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"two questions share the id {twice[0]}")
        return self


@dataclass(frozen=True, slots=True)
class Pack:
    """Questions and truths of one scenario."""

    folder: Path
    questions: tuple[Question, ...]
    truths: Mapping[str, TruthFunction]
    version: str
    """Grader's version and digest of the content: equal versions grade alike."""
    mistakes: Mapping[str, MistakeFunction] = field(default_factory=dict)
    hints: Mapping[str, Predicate] = field(default_factory=dict)
    """Functions that say whether a hint fits, by name."""
    designs: Mapping[str, DesignFunction] = field(default_factory=dict)
    """Reference and naive designs, by name."""
    cases: Mapping[str, Cases] = field(default_factory=dict)
    """Makers of the hidden inputs of rego questions, by name."""

    def question(self, name: str) -> Question:
        """The question of that id.

        Raises:
            NotFoundError: there is none; names the closest.
        """
        for question in self.questions:
            if question.id == name:
                return question
        close = get_close_matches(name, [q.id for q in self.questions], 1)
        hint = f"Did you mean {close[0]}?" if close else "List them with: archlab questions"
        raise NotFoundError(f"There is no question {name!r}.", hint)

    def told(self, figures: Mapping[str, float | int | str]) -> Pack:
        """The same with the learner's own figures in the texts, where they say `{your.NAME}`."""

        def fill(text: str) -> str:
            return _YOURS.sub(lambda found: str(figures.get(found[1], found[0])), text)

        def filled(question: Question) -> Question:
            options = tuple(o.model_copy(update={"text": fill(o.text)}) for o in question.options)
            hints = tuple(h.model_copy(update={"text": fill(h.text)}) for h in question.hints)
            return question.model_copy(update={"text": fill(question.text), "options": options, "hints": hints})

        return replace(self, questions=tuple(filled(q) for q in self.questions))

    def truth(self, question: Question) -> TruthFunction:
        """The function that knows a question's answer."""
        return self.truths[question.truth]


def load(folder: Path) -> Pack:
    """Read `questions.yaml` and `truths.py`; `mistakes.py`, `hints.py` and `designs.py` where questions name functions.

    Many questions may be split over files: `questions_AREA.yaml` beside questions.yaml, in the order of their names.

    Raises:
        SpecError: a fault in one of them; names file, line, question and field.
    """
    files = {path: loading.load(path, _File).questions for path in question_files(folder)}
    questions = tuple(q for asked in files.values() for q in asked)
    _refuse_twice(files)
    where = {q.id: path for path, asked in files.items() for q in asked}
    truths = {(q.id, "truth", q.truth) for q in questions}
    cases = {(q.id, "cases", q.cases) for q in questions if q.cases}
    mistakes = {(q.id, "mistakes.name", m.name) for q in questions for m in q.mistakes}
    hints = {(q.id, "hints.when", h.when) for q in questions for h in q.hints if h.when}
    tasks = [(q.id, q.design) for q in questions if q.design]
    designs = {(asked, "design", name) for asked, task in tasks for name in (task.reference, *task.naive)}
    return Pack(
        folder=folder,
        questions=questions,
        truths=_functions(folder / "truths.py", where, truths),
        version=f"{GRADER}+{_content_digest(folder)}",
        mistakes=_functions(folder / "mistakes.py", where, mistakes),
        hints=_functions(folder / "hints.py", where, hints),
        designs=_functions(folder / "designs.py", where, designs),
        cases=_functions(folder / "truths.py", where, cases),
    )


def question_files(folder: Path) -> tuple[Path, ...]:
    """Where a scenario's questions are declared; questions.yaml first, whether or not it is there."""
    return (folder / "questions.yaml", *sorted(folder.glob("questions_*.yaml")))


def _refuse_twice(files: Mapping[Path, Sequence[Question]]) -> None:
    seen: dict[str, Path] = {}
    for path, questions in files.items():
        for question in questions:
            if question.id in seen:
                raise SpecError(f"{path}: the question {question.id} is in {seen[question.id].name} already.")
            seen[question.id] = path


def _functions(
    path: Path, where: Mapping[str, Path], wanted: set[tuple[str, str, str]]
) -> dict[str, Callable[..., Any]]:
    """Functions of a module by name; `wanted` names question, field and function, `where` each question's file."""
    if not wanted:
        return {}
    module = load_module(path)
    return {name: named_function(module, name, where[asked], f"{asked}: {key}") for asked, key, name in sorted(wanted)}


def named_function(module: ModuleType, name: str, path: Path, field: str) -> Callable[..., Any]:
    """A function of a content's module.

    Raises:
        SpecError: the module has none of that name; names file, line and field of the content that asks for it.
    """
    function = getattr(module, name, None)
    if not callable(function):
        key = re.split(r"[.: ]+", field)[-1]
        asks = re.compile(rf"\b{re.escape(key)}: *[\"']?{re.escape(name)}\b")
        line = next((n for n, text in enumerate(path.read_text().splitlines(), 1) if asks.search(text)), 1)
        raise SpecError(f"{path}:{line}: {field}: {module.__file__} has no function {name!r}.")
    made: Callable[..., Any] = function
    return made


def load_module(path: Path) -> ModuleType:
    """Import a scenario's module from its file: content needs no installed name, `from . import x` finds its siblings.

    Raises:
        SpecError: it is missing or fails to import.
    """
    if not path.is_file():
        raise SpecError(f"{path} is missing.")
    package = f"archlab_content_{hashlib.sha256(str(path.parent).encode()).hexdigest()[:12]}"
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        del sys.modules[name]
    parent = ModuleType(package)
    parent.__path__ = [str(path.parent)]
    sys.modules[package] = parent
    spec = importlib.util.spec_from_file_location(f"{package}.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SpecError(f"{path} is no Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SpecError(f"{path} fails to import: {type(error).__name__}: {error}.") from error
    return module


def _content_digest(folder: Path) -> str:
    """Over the questions and every module beside them, so that a truth's helpers count too."""
    made = hashlib.sha256()
    for path in [*question_files(folder), *sorted(folder.glob("*.py"))]:
        made.update(path.name.encode() + b"\0" + path.read_bytes())
    return made.hexdigest()[:12]
