"""Quality of labelled answers: one definition for hold-out and service. Pure, and light enough for control.

Each measure takes predictions and actuals of one length and is None where it is undefined (no rows, one class).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
QUANTILE = 0.8
"""Of the pinball loss: block-time-buffer promises four times in five."""


def auc(predictions: Floats, actuals: Floats) -> float | None:
    """Area under the ROC curve: the share of (yes, no) pairs in the right order, ties count half (Mann-Whitney U)."""
    yes = actuals >= 0.5
    positives, negatives = int(yes.sum()), int((~yes).sum())
    if not positives or not negatives:
        return None
    rank_sum = float(_ranks(predictions)[yes].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def mae(predictions: Floats, actuals: Floats) -> float | None:
    """Mean absolute error."""
    return float(np.abs(predictions - actuals).mean()) if len(actuals) else None


def pinball(predictions: Floats, actuals: Floats) -> float | None:
    """Mean pinball loss of the 80 % quantile."""
    if not len(actuals):
        return None
    short = actuals - predictions
    return float(np.maximum(QUANTILE * short, (QUANTILE - 1) * short).mean())


def explained_variance(groups: Floats, actuals: Floats) -> float | None:
    """Share of the actuals' variance that lies between groups (eta squared); groups are numbers without order."""
    total = float(((actuals - actuals.mean()) ** 2).sum()) if len(actuals) else 0.0
    if not total:
        return None
    _, member = np.unique(groups, return_inverse=True)
    means = np.bincount(member, actuals) / np.bincount(member)
    return 1.0 - float(((actuals - means[member]) ** 2).sum()) / total


MEASURES: dict[str, Callable[[Floats, Floats], float | None]] = {
    "auc": auc,
    "mae": mae,
    "pinball": pinball,
    "explained_variance": explained_variance,
}
"""By the name that a model's card gives."""


def _ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share their mean rank."""
    _, member, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank: Floats = last - (counts - 1) / 2
    return mean_rank[member]
