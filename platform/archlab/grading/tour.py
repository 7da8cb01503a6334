"""A scenario's guided tour: steps as data, checks as functions over evidence, progress in the lab's folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from archlab.errors import NotFoundError
from archlab.files import write_model
from archlab.grading.content import load_module, named_function
from archlab.plan import loading
from archlab.spec.base import Slug, Spec
from archlab.spec.grading import Evidence
from archlab.spec.job import Job

Check = Callable[[Evidence, Path], str]
"""check(evidence, lab's folder): what is missing, or nothing."""

Values = Callable[[Evidence], Mapping[str, str]]
"""Figures that texts and commands quote as `{name}`."""


class JobAction(Spec):
    """A job on the lab's target, as one of its users."""

    name: Slug
    module: str
    args: tuple[str, ...] = ()
    user: Slug

    def job(self, env: Mapping[str, str]) -> Job:
        """The job, with what its MLflow client needs."""
        return Job(name=self.name, module=self.module, args=self.args, env=dict(env))


class CopyAction(Spec):
    """Files put into the lab's folder."""

    source: str
    """Folder beside the scenario's content."""
    solution: str
    """Folder that `--solution` takes instead."""
    to: str
    """Folder inside the lab's."""


class Action(Spec):
    """One thing that a step does."""

    run: str = ""
    """A shell command, shown and run on Enter."""
    exits: int = 0
    """Exit code that the command should have."""
    job: JobAction | None = None
    copy_files: CopyAction | None = None
    wait: str = ""
    """What the learner does by hand; goes on at Enter."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.run, self.job, self.copy_files, self.wait))) != 1:
            raise ValueError("an action has exactly one of run, job, copy_files and wait")
        return self


class Step(Spec):
    """One screen of the tour."""

    id: Slug
    title: str
    minutes: int = Field(ge=0)
    text: str
    """Markdown, shown before."""
    actions: tuple[Action, ...] = ()
    check: str = ""
    """Function in tour_checks.py that proves the step happened."""
    after: str = ""
    """Markdown, shown once it did."""


class _File(Spec):
    format: Literal["archlab/tour/v1"]
    title: str
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [s.id for s in self.steps]
        if len(set(ids)) != len(ids):
            raise ValueError("two steps share an id")
        return self


class Progress(Spec):
    """`tour.json` in the lab's folder."""

    format: Literal["archlab/tour-progress/v1"] = "archlab/tour-progress/v1"
    done: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tour:
    """Steps with their checks."""

    folder: Path
    title: str
    steps: tuple[Step, ...]
    checks: Mapping[str, Check]
    values: Values

    @property
    def minutes(self) -> int:
        """How long it takes."""
        return sum(s.minutes for s in self.steps)

    def missing(self, step: Step, evidence: Evidence, lab: Path) -> str:
        """What a step lacks; empty when it is done or needs no proof."""
        return self.checks[step.check](evidence, lab) if step.check else ""

    def rest(self, progress: Progress, start: str | None = None, end: str | None = None) -> tuple[Step, ...]:
        """Steps from a named one on, or from the first that is not done; up to a named one, or to the last.

        Raises:
            NotFoundError: there is no such step.
        """
        ids = [s.id for s in self.steps]
        for name in (start, end):
            if name is not None and name not in ids:
                raise NotFoundError(f"The tour has no step {name!r}.", f"Its steps: {', '.join(ids)}.")
        undone = [i for i, name in enumerate(ids) if name not in progress.done]
        first = ids.index(start) if start is not None else undone[0] if undone else len(ids)
        return self.steps[first : ids.index(end) + 1 if end is not None else len(ids)]


def load(folder: Path) -> Tour:
    """Read `tour.yaml` and `tour_checks.py` of a scenario's folder.

    Raises:
        NotFoundError: the scenario has no tour.
        SpecError: a fault; names file, line and step.
    """
    if not (folder / "tour.yaml").is_file():
        raise NotFoundError(f"Scenario {folder.name.replace('_', '-')} has no tour.", "Its brief is in README.md.")
    path = folder / "tour.yaml"
    parsed = loading.load(path, _File)
    module = load_module(folder / "tour_checks.py")
    checks: dict[str, Check] = {}
    for step in parsed.steps:
        if step.check:
            checks[step.check] = named_function(module, step.check, path, f"{step.id}: check")
    return Tour(folder, parsed.title, parsed.steps, checks, named_function(module, "values", path, "tour"))


def read_progress(path: Path) -> Progress:
    """What was done; nothing, when the file is missing or damaged (steps prove themselves again)."""
    try:
        return Progress.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return Progress()


def write_progress(path: Path, progress: Progress, step: Step) -> Progress:
    """Note a step as done."""
    if step.id in progress.done:
        return progress
    changed = progress.model_copy(update={"done": (*progress.done, step.id)})
    write_model(path, changed)
    return changed


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put `{name}` figures into a text; other braces stay as they are."""
    return re.sub(r"\{([a-z][a-z0-9_]*)\}", lambda m: values.get(m[1], m[0]), text)
