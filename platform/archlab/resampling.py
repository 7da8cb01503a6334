"""How sure a quality is, and a difference between two: bootstrap over subjects, not over requests.

Several answers about one flight are not independent, so a resample draws whole subjects with all their answers (cluster
bootstrap; Davison and Hinkley, Bootstrap Methods and their Application, section 3.8), and both versions share the draw.
So the difference is paired as far as both answered about the same subjects. Intervals are 95 % percentile intervals;
the seed is fixed, so that looking twice shows the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archlab.quality import QUANTILE, Floats

RESAMPLES = 1000
SEED = 20131202
CONFIDENCE = 0.95
UNDEFINED = 0.1
"""Largest share of resamples in which a measure may be undefined (one class only)."""
_BATCH = 1_000_000

Weighted = Callable[[Floats], Floats]
"""A measure as a function of weights [B, N] of a sample's N answers; NaN where it is undefined."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Labelled answers of one version; `subjects` says what each is about."""

    predictions: Floats
    actuals: Floats
    subjects: Sequence[str]


@dataclass(frozen=True, slots=True)
class Range:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Compared:
    """Qualities of two versions, and the second less the first; None where there is too little to say."""

    first: Range | None
    second: Range | None
    difference: Range | None


def compare(metric: str, first: Sample, second: Sample, *, resamples: int = RESAMPLES, seed: int = SEED) -> Compared:
    """Qualities by a measure of `archlab.quality`, and their difference, with intervals."""
    subjects, codes = np.unique([*first.subjects, *second.subjects], return_inverse=True)
    ours, theirs = codes[: len(first.subjects)], codes[len(first.subjects) :]
    measures = WEIGHTED[metric](first), WEIGHTED[metric](second)
    one = np.ones((1, len(subjects)))
    point = [measure(one[:, rows]) for measure, rows in zip(measures, (ours, theirs), strict=True)]
    drawn: list[list[Floats]] = [[], []]
    for counts in _draws(len(subjects), len(codes), resamples, seed):
        for kept, measure, rows in zip(drawn, measures, (ours, theirs), strict=True):
            kept.append(measure(counts[:, rows]))
    a, b = (np.concatenate(kept) if kept else np.empty(0) for kept in drawn)
    return Compared(
        _range(float(point[0][0]), a), _range(float(point[1][0]), b), _range(float((point[1] - point[0])[0]), b - a)
    )


def _draws(subjects: int, answers: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each subject is drawn, resamples in rows, in pieces that bound the memory."""
    if not subjects:
        return
    random = np.random.default_rng(seed)
    size = max(1, _BATCH // max(subjects, answers))
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        drawn = random.integers(0, subjects, (rows, subjects)) + np.arange(rows)[:, None] * subjects
        counts = np.bincount(drawn.ravel(), minlength=rows * subjects)
        yield counts.reshape(rows, subjects).astype(np.float64)


def _range(value: float, drawn: Floats) -> Range | None:
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or len(known) < (1 - UNDEFINED) * len(drawn) or not len(known):
        return None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Range(value, float(low), float(high))


def _auc(sample: Sample) -> Weighted:
    order = np.argsort(sample.predictions, kind="stable")
    ordered = sample.predictions[order]
    yes = (sample.actuals >= 0.5)[order]
    # equal predictions share a rank: their pairs count half
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(ordered) else order

    def measure(weights: Floats) -> Floats:
        if not len(starts):
            return np.full(len(weights), np.nan)
        weights = weights[:, order]
        positive = np.add.reduceat(weights * yes, starts, axis=1)
        negative = np.add.reduceat(weights * ~yes, starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative / 2
        return _ratio((positive * below).sum(axis=1), positive.sum(axis=1) * negative.sum(axis=1))

    return measure


def _mean(losses: Floats) -> Weighted:
    return lambda weights: _ratio(weights @ losses, weights.sum(axis=1))


def _mae(sample: Sample) -> Weighted:
    return _mean(np.abs(sample.predictions - sample.actuals))


def _pinball(sample: Sample) -> Weighted:
    short = sample.actuals - sample.predictions
    return _mean(np.maximum(QUANTILE * short, (QUANTILE - 1) * short))


def _explained_variance(sample: Sample) -> Weighted:
    actuals = sample.actuals
    groups, member = np.unique(sample.predictions, return_inverse=True)
    belongs = (member[:, None] == np.arange(len(groups))).astype(np.float64)

    def measure(weights: Floats) -> Floats:
        mean = _ratio(weights @ actuals, weights.sum(axis=1))
        total = weights @ actuals**2 - weights.sum(axis=1) * mean**2
        members = weights @ belongs
        sums = (weights * actuals) @ belongs
        between = np.divide(sums**2, members, out=np.zeros_like(sums), where=members > 0).sum(axis=1)
        return _ratio(between - weights.sum(axis=1) * mean**2, total)

    return measure


def _ratio(above: Floats, below: Floats) -> Floats:
    """The quotient; NaN where the divisor is 0."""
    found: npt.NDArray[np.float64] = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return found


WEIGHTED: dict[str, Callable[[Sample], Weighted]] = {
    "auc": _auc,
    "mae": _mae,
    "pinball": _pinball,
    "explained_variance": _explained_variance,
}
"""The measures of `archlab.quality`, with weights."""
