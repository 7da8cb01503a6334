"""What a business hands to the training pipeline: `archlab_scenarios.NAME.training` has these as module attributes."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from archlab.errors import NotFoundError, SpecError
from archlab.spec.business import ModelCard
from archlab.spec.release import Column

FIRST = "v1"
"""Variant that every model has."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one variant of a model is trained.

    Attributes:
        spine: name of the entity rows that it learns from; recipes with the same spine share one point-in-time join.
        train_rows: at most so many rows of the spine are learned from; the first in the spine's shuffled order.
        estimator: makes the unfitted scikit-learn pipeline.
    """

    card: ModelCard
    variant: str
    columns: tuple[Column, ...]
    feature_service: str
    spine: str
    train_rows: int
    params: Mapping[str, Any]
    estimator: Callable[[], Any]

    @property
    def name(self) -> str:
        """`MODEL` or `MODEL@VARIANT`."""
        return self.card.name if self.variant == FIRST else f"{self.card.name}@{self.variant}"

    @property
    def output(self) -> Literal["probability", "estimate", "cluster"]:
        """What the ONNX graph's one output means."""
        kinds: dict[str, Literal["probability", "estimate", "cluster"]] = {
            "classification": "probability",
            "estimate": "estimate",
            "clusters": "cluster",
        }
        return kinds[self.card.kind]

    @property
    def views(self) -> dict[str, list[str]]:
        """Features by view, in the columns' order."""
        found: dict[str, list[str]] = {}
        for column in self.columns:
            if column.source != "request":
                found.setdefault(column.source, []).append(column.name)
        return found


class Training(Protocol):
    """A module of content: `archlab_scenarios.<business>.training`."""

    RECIPES: Sequence[Recipe]
    CUTOFF: datetime
    """Training rows were asked about before it, hold-out rows after."""
    READS: Sequence[str]
    """Files below the data's folder that entity rows, requests and batch questions are made from."""
    EVALUATED_AT: datetime
    """Business time of the evaluation: every outcome of the hold-out was known by then."""

    def entities(self, data: Path, spine: str) -> Any:
        """Rows of a spine, shuffled, as a pandas frame.

        Columns: entity keys, `event_timestamp` (UTC), `row` (unique), `holdout` (bool), request columns, and for each
        model `actual_MODEL`, `baseline_MODEL`.
        """
        ...


def training(name: str) -> Training:
    """The training content of a business.

    Raises:
        SpecError: there is none.
    """
    found: Training = _module(name, "training")
    return found


def recipe(content: Training, model: str, variant: str = FIRST) -> Recipe:
    """One recipe.

    Raises:
        NotFoundError: the business has no such model or variant.
    """
    for candidate in content.RECIPES:
        if candidate.card.name == model and candidate.variant == variant:
            return candidate
    known = ", ".join(sorted(r.name for r in content.RECIPES))
    raise NotFoundError(f"There is no recipe for {model} {variant}.", f"Known are: {known}.")


def code_digest(business: str) -> str:
    """Over the code that shapes a trained model: the business's package, the views, what trains and exports."""
    ours = ("recipes.py", "training_sets.py", "evaluate.py", "export.py", "train.py")
    files = (
        *_sources("archlab", ("quality.py",)),
        *_sources(f"archlab_scenarios.{business}", ("*.py",)),
        *_sources("archlab_features", ("views.py", "repository.py", "history.py")),
        *_sources("archlab.pipelines", ours),
    )
    total = hashlib.sha256()
    for path in files:
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def _sources(package: str, patterns: Sequence[str]) -> list[Path]:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SpecError(f"The package {package} is not installed.", "Run: make setup")
    return sorted(path for pattern in patterns for path in Path(spec.origin).parent.glob(pattern))


def _module(name: str, part: str) -> Any:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise SpecError(f"{name!r} is no name of a business.")
    try:
        return importlib.import_module(f"archlab_scenarios.{name}.{part}")
    except ModuleNotFoundError as error:
        raise SpecError(f"The scenario's business {name!r} has no {part}: {error}.") from None
