"""Fits one recipe, measures it on the hold-out against its card's simple rule, exports it and proves the export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlab.errors import ArchlabError
from archlab.pipelines import export
from archlab.pipelines.recipes import Recipe
from archlab.quality import MEASURES


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A fitted, exported and measured model."""

    onnx: bytes
    value: float
    baseline: float
    parity_max_abs_diff: float
    train_rows: int
    holdout_rows: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Features [N, F], what happened [N], and what the simple rule said [N]."""

    features: NDArray[np.float32]
    actual: NDArray[np.float64]
    baseline: NDArray[np.float64]


def evaluate(recipe: Recipe, frame: Path) -> Evaluation:
    """Fit on what was asked before the cutoff; the figures are of what was asked after it, by the exported graph.

    Raises:
        ParityError: the exported graph answers differently.
    """
    learned, held_out = read(recipe, frame)
    estimator: Any = recipe.estimator()
    estimator.fit(learned.features, learned.actual)
    onnx = export.to_onnx(estimator, len(recipe.columns), recipe.output)
    answers = export.predict(onnx, held_out.features)
    source = export.reference(estimator, held_out.features, recipe.output)
    known = ~np.isnan(held_out.baseline)
    return Evaluation(
        onnx=onnx,
        value=measure(recipe, answers, held_out.actual),
        baseline=measure(recipe, held_out.baseline[known], held_out.actual[known]),
        parity_max_abs_diff=export.parity(answers, source, recipe.name),
        train_rows=len(learned.actual),
        holdout_rows=len(held_out.actual),
    )


def measure(recipe: Recipe, predictions: NDArray[Any], actuals: NDArray[np.float64]) -> float:
    """The card's metric on the hold-out.

    Raises:
        ArchlabError: it is undefined there (no rows, or one class).
    """
    found = MEASURES[recipe.card.metric](np.asarray(predictions, dtype=np.float64).reshape(-1), actuals)
    if found is None:
        raise ArchlabError(
            f"{recipe.card.metric} of {recipe.name} is undefined on its hold-out.", "Widen the hold-out."
        )
    return found


def read(recipe: Recipe, frame: Path) -> tuple[Rows, Rows]:
    """(learned from, held out): rows whose outcome is known, in the frame's order.

    Raises:
        ArchlabError: nothing is left to learn from.
    """
    import pyarrow.parquet as pq

    name = recipe.card.name
    columns = [column.name for column in recipe.columns]
    table = pq.read_table(frame, columns=[*columns, f"actual_{name}", f"baseline_{name}", "holdout"])
    held_out = table["holdout"].to_numpy(zero_copy_only=False)
    actual = _floats(table[f"actual_{name}"])
    known = ~np.isnan(actual)
    rows = Rows(
        np.column_stack([_floats(table[column]).astype(np.float32) for column in columns]),
        actual,
        _floats(table[f"baseline_{name}"]),
    )
    train = np.flatnonzero(known & ~held_out)[: recipe.train_rows]
    test = np.flatnonzero(known & held_out)
    if not len(train) or not len(test):
        raise ArchlabError(f"The training set of {name} has no rows whose outcome is known.", "Remove the cache.")
    return _take(rows, train), _take(rows, test)


def _take(rows: Rows, index: NDArray[np.intp]) -> Rows:
    return Rows(rows.features[index], rows.actual[index], rows.baseline[index])


def _floats(column: Any) -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
