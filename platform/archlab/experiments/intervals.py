"""A figure from a few repeated runs, with its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev

from archlab.spec.experiments import Estimate

CONFIDENCE = 0.95


def of_repeats(values: Sequence[float]) -> Estimate:
    """Mean with Student's interval: right for a handful of runs, where resampling them would be too sure.

    Raises:
        ValueError: there is no value. One alone has no interval, and so an infinitely wide one is not invented:
            `low` and `high` are 0 and twice the value.
    """
    if not values:
        raise ValueError("no values")
    mean = fmean(values)
    if len(values) == 1:
        return Estimate(value=mean, low=0.0, high=2 * mean)
    from scipy.stats import t

    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * stdev(values) / sqrt(len(values))
    return Estimate(value=mean, low=max(0.0, mean - half), high=mean + half)
