from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline

from archlab.pipelines import export
from archlab.pipelines.export import Output, ParityError

ROWS = 300


@pytest.fixture(scope="module")
def features() -> NDArray[np.float32]:
    made = np.random.default_rng(7).normal(size=(ROWS, 3)).astype(np.float32)
    made[::7, 1] = np.nan
    return made


@pytest.mark.parametrize(
    ("estimator", "output"),
    [
        (make_pipeline(SimpleImputer(), LogisticRegression()), "probability"),
        (make_pipeline(SimpleImputer(), RandomForestClassifier(5, random_state=0)), "probability"),
        (
            make_pipeline(SimpleImputer(), MLPRegressor(hidden_layer_sizes=(4,), max_iter=50, random_state=0)),
            "estimate",
        ),
        (HistGradientBoostingRegressor(loss="quantile", quantile=0.8, max_iter=5), "estimate"),
        (make_pipeline(SimpleImputer(), KMeans(3, n_init=1, random_state=0)), "cluster"),
    ],
    ids=["logistic", "forest", "network", "boosting", "clusters"],
)
@pytest.mark.filterwarnings("ignore")
def test_one_input_one_output_same_answers(estimator: Any, output: Output, features: NDArray[np.float32]) -> None:
    import onnxruntime

    target = np.nan_to_num(features).sum(axis=1) > 0
    estimator.fit(features, target)
    model = export.to_onnx(estimator, features.shape[1], output)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (given,), (answered,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[1:]) == ("features", "tensor(float)", [3])
    assert (answered.name, answered.type) == ("prediction", "tensor(float)")
    assert session.run(None, {"features": features[:4]})[0].shape == (4, 1)
    answers = export.predict(model, features)
    assert export.parity(answers, export.reference(estimator, features, output), "it") <= export.MAX_ABS_DIFF
    assert len(np.unique(answers)) >= 2


def test_a_graph_that_answers_differently_is_refused(features: NDArray[np.float32]) -> None:
    """The poisson loss of gradient boosting is one that the converter gets wrong, silently."""
    estimator = HistGradientBoostingRegressor(loss="poisson", max_iter=5).fit(features, np.abs(features[:, 0]) * 20)
    answers = export.predict(export.to_onnx(estimator, 3, "estimate"), features)
    with pytest.raises(ParityError, match="differs from scikit-learn"):
        export.parity(answers, export.reference(estimator, features, "estimate"), "boosting")


def test_an_answer_that_is_no_number_is_refused() -> None:
    with pytest.raises(ParityError):
        export.parity(np.array([np.nan], np.float32), np.array([0.5]), "it")
