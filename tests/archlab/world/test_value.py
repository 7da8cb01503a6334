"""What an answer is worth: right, wrong, late, not known yet."""

from __future__ import annotations

import pytest

from archlab.spec.airline import Timeliness
from archlab.spec.callers import ClassificationValue, EstimateValue
from archlab.world.value import worth

YES_NO = ClassificationValue(
    threshold=0.3, true_positive=10, false_positive=-2, true_negative=1, false_negative=-5, late=-3
)
MINUTES = EstimateValue(tolerance=10, right=4, wrong=-1, late=-3)
BUFFER = EstimateValue(tolerance=25, one_sided=True, right=4, wrong=-1, late=-3)


@pytest.mark.parametrize(
    ("prediction", "actual", "expected"),
    [(0.3, 1, 10), (0.9, 0, -2), (0.29, 0, 1), (0.1, 1, -5), (0.9, None, 0)],
)
def test_yes_or_no(prediction: float, actual: float | None, expected: int) -> None:
    assert worth(YES_NO, Timeliness.ON_TIME, prediction, actual) == expected


@pytest.mark.parametrize(
    ("value", "prediction", "actual", "expected"),
    [
        (MINUTES, 110, 100, 4),
        (MINUTES, 90, 100, 4),
        (MINUTES, 110.1, 100, -1),
        (BUFFER, 100, 100, 4),
        (BUFFER, 125, 100, 4),
        (BUFFER, 99.9, 100, -1),
        (BUFFER, 125.1, 100, -1),
    ],
)
def test_estimates(value: EstimateValue, prediction: float, actual: float, expected: int) -> None:
    assert worth(value, Timeliness.ON_TIME, prediction, actual) == expected


@pytest.mark.parametrize("timeliness", [Timeliness.LATE, Timeliness.STALE, Timeliness.MISSING])
@pytest.mark.parametrize("actual", [1.0, None])
def test_an_answer_that_could_not_be_used_is_late_at_once(timeliness: Timeliness, actual: float | None) -> None:
    assert worth(YES_NO, timeliness, 0.9, actual) == -3
    assert worth(MINUTES, timeliness, None, actual) == -3
