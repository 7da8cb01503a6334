"""The drills that ship: Chaos Toolkit experiments with archlab's providers, one file each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from archlab.errors import NotFoundError, SpecError
from archlab.settings import scenarios_root
from archlab.spec.base import Spec
from archlab.spec.drill import Kind, Objectives, Replication

EXTENSION = "archlab"


class Wanted(Spec):
    """What a drill asks of a recovery, by how regions are replicated."""

    name: str
    objectives: dict[Replication, Objectives]
    about: Kind = Kind.WRITE
    """Which requests it is about: with predictions there is a model in both regions."""
    surprise: bool = True
    """Whether it may come unannounced."""


class Experiment(NamedTuple):
    """One drill."""

    name: str
    title: str
    description: str
    content: dict[str, Any]
    """The experiment as Chaos Toolkit takes it."""
    objectives: dict[Replication, Objectives]
    about: Kind
    """Which requests it is about."""
    surprise: bool
    """Whether it may come unannounced."""


def folder() -> Path:
    """Where the drills are."""
    return scenarios_root() / "disaster_recovery" / "drills"


def names() -> list[str]:
    """The drills that ship."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def load(name: str) -> Experiment:
    """A drill by its name.

    Raises:
        NotFoundError: there is none.
        SpecError: it is no experiment, or says not what it asks for.
    """
    if name not in names():
        raise NotFoundError(f"There is no drill {name!r}.", f"Drills: {', '.join(names())}.")
    path = folder() / f"{name}.yaml"
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text())
        ours = next(e for e in content["extensions"] if e["name"] == EXTENSION)
        wanted = Wanted.model_validate(ours)
        return Experiment(
            name, content["title"], content["description"], content, wanted.objectives, wanted.about, wanted.surprise
        )
    except (yaml.YAMLError, KeyError, TypeError, StopIteration, ValidationError) as error:
        raise SpecError(f"{path} is no drill: {error!r}.", "See: docs/recovery.md, drills") from None
