"""The measures agree with scikit-learn's, and are undefined where they should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, r2_score, roc_auc_score

from archlab.quality import MEASURES, QUANTILE, Floats, auc, explained_variance, mae, pinball

values = st.floats(-1e3, 1e3, allow_nan=False)
few_values = st.sampled_from([0.0, 0.25, 0.5, 1.0])


def columns(rows: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    table = np.array(rows, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@given(st.lists(st.tuples(few_values | values, st.sampled_from([0.0, 1.0])), min_size=2, max_size=60))
def test_auc(rows: list[tuple[float, float]]) -> None:
    predictions, actuals = columns(rows)
    assume(len(set(actuals)) == 2)
    assert auc(predictions, actuals) == pytest.approx(roc_auc_score(actuals, predictions))


@given(st.lists(st.tuples(values, values), min_size=1, max_size=40))
def test_mae_and_pinball(rows: list[tuple[float, float]]) -> None:
    predictions, actuals = columns(rows)
    assert mae(predictions, actuals) == pytest.approx(mean_absolute_error(actuals, predictions))
    expected = mean_pinball_loss(actuals, predictions, alpha=QUANTILE)
    assert pinball(predictions, actuals) == pytest.approx(expected)


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 5.0]), values), min_size=2, max_size=40))
def test_explained_variance_is_the_r2_of_group_means(rows: list[tuple[float, float]]) -> None:
    groups, actuals = columns(rows)
    assume(actuals.std() > 1e-6)
    means = np.array([actuals[groups == g].mean() for g in groups])
    assert explained_variance(groups, actuals) == pytest.approx(r2_score(actuals, means), abs=1e-9)


@pytest.mark.parametrize("name", MEASURES)
def test_nothing_to_measure_is_none(name: str) -> None:
    assert MEASURES[name](np.array([]), np.array([])) is None


def test_one_class_has_no_auc_and_equal_actuals_no_variance() -> None:
    ones = np.ones(3)
    assert auc(np.arange(3.0), ones) is None
    assert explained_variance(np.arange(3.0), ones) is None
