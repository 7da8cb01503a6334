"""What one answer was worth to its caller. Pure."""

from __future__ import annotations

from archlab.spec.airline import Timeliness
from archlab.spec.base import NanoUsd
from archlab.spec.callers import ClassificationValue, EstimateValue


def worth(
    value: ClassificationValue | EstimateValue,
    timeliness: Timeliness,
    prediction: float | None,
    actual: float | None,
) -> NanoUsd:
    """Worth of one real request.

    An answer that could not be used is worth `late` at once; one in time is worth nothing until the label is known.
    """
    if timeliness is not Timeliness.ON_TIME or prediction is None:
        return value.late
    if actual is None:
        return 0
    if isinstance(value, ClassificationValue):
        return _classified(value, prediction >= value.threshold, actual >= 0.5)
    return value.right if is_right(value, prediction, actual) else value.wrong


def is_right(value: EstimateValue, prediction: float, actual: float) -> bool:
    """Whether an estimate is within its tolerance; one-sided, whether the actual is below it, but not by more."""
    if value.one_sided:
        return actual <= prediction <= actual + value.tolerance
    return abs(prediction - actual) <= value.tolerance


def _classified(value: ClassificationValue, said_yes: bool, was_yes: bool) -> NanoUsd:
    if said_yes:
        return value.true_positive if was_yes else value.false_positive
    return value.false_negative if was_yes else value.true_negative
