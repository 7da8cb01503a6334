"""How good answers were: the measures that cards name. Higher or lower is better as the card says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
QUANTILE = 0.8
"""Of the pinball loss."""


def auc(actual: ArrayLike, prediction: ArrayLike) -> float:
    """Area under the ROC curve, ties counted half; NaN when only one class occurred."""
    truth, score = np.asarray(actual, float) > 0.5, np.asarray(prediction, float)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return float("nan")
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[place][truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def mae(actual: ArrayLike, prediction: ArrayLike) -> float:
    """Mean absolute error."""
    return float(np.abs(np.asarray(actual, float) - np.asarray(prediction, float)).mean())


def pinball(actual: ArrayLike, prediction: ArrayLike) -> float:
    """Pinball loss of the 80th percentile."""
    over = np.asarray(actual, float) - np.asarray(prediction, float)
    return float(np.maximum(QUANTILE * over, (QUANTILE - 1) * over).mean())


def explained_variance(actual: ArrayLike, groups: ArrayLike) -> float:
    """Share of the variance that belonging to a group explains: 1 minus within over total."""
    values = np.asarray(actual, float)
    total = float(((values - values.mean()) ** 2).sum())
    if total == 0:
        return float("nan")
    _, place, counts = np.unique(np.asarray(groups, float), return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=values) / counts
    return 1 - float(((values - means[place]) ** 2).sum()) / total


MEASURES: Mapping[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "auc": auc,
    "mae": mae,
    "pinball": pinball,
    "explained_variance": explained_variance,
}
