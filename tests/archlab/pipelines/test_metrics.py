from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, roc_auc_score

from archlab.pipelines import metrics

NUMBERS = st.floats(-1000, 1000, width=32)
PAIRS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.1, 0.5, 0.9])), min_size=1, max_size=60)


@given(PAIRS)
def test_auc_is_scikit_learns_ties_and_all(pairs: list[tuple[bool, float]]) -> None:
    actual, score = [float(truth) for truth, _ in pairs], [value for _, value in pairs]
    if len(set(actual)) == 1:
        assert math.isnan(metrics.auc(actual, score))
    else:
        assert metrics.auc(actual, score) == pytest.approx(roc_auc_score(actual, score))


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=60))
def test_losses_are_scikit_learns(pairs: list[tuple[float, float]]) -> None:
    actual, said = [a for a, _ in pairs], [b for _, b in pairs]
    assert metrics.mae(actual, said) == pytest.approx(mean_absolute_error(actual, said))
    assert metrics.pinball(actual, said) == pytest.approx(mean_pinball_loss(actual, said, alpha=0.8))


def test_groups_explain_what_differs_between_them() -> None:
    actual = np.array([1.0, 1.0, 5.0, 5.0])
    assert metrics.explained_variance(actual, [0, 0, 3, 3]) == pytest.approx(1.0)
    assert metrics.explained_variance(actual, [0, 1, 0, 1]) == pytest.approx(0.0)
    assert math.isnan(metrics.explained_variance([2.0, 2.0], [0, 1]))
