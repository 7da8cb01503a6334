"""The two models that everybody serves: gradient boosting and a small neural network, on 20 columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from .wire import DECIMALS, INPUT, OUTPUT, Matrix

COLUMNS = 20
SEED = 7
_TRAINING_ROWS = 2000


@dataclass(frozen=True)
class BenchmarkModel:
    """An ONNX file, and what it says in this process."""

    name: str
    title: str
    path: Path

    def predict(self, matrix: Matrix) -> Matrix:
        """ONNX Runtime's own answer `[N, 1]`: what every server is held to."""
        session = onnxruntime.InferenceSession(self.path, providers=["CPUExecutionProvider"])
        prediction: Matrix = session.run([OUTPUT], {INPUT: matrix})[0]
        return prediction


def rows(number: int, seed: int = SEED) -> Matrix:
    """Random rows whose values have four decimals."""
    drawn = np.random.default_rng(seed).normal(size=(number, COLUMNS))
    return np.round(drawn, DECIMALS).astype(np.float32)


def train(folder: Path, names: Sequence[str]) -> list[BenchmarkModel]:
    """Trains those of `trees` and `network` and writes their files, on one thread: more only wait on busy cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return [_MAKERS[name](folder) for name in names]


def _data() -> tuple[Matrix, Matrix]:
    features = rows(_TRAINING_ROWS)
    target: Matrix = features[:, 0] * features[:, 1] + np.sin(features[:, 2]) + features[:, 3:].mean(axis=1)
    return features, target


def _trees(folder: Path) -> BenchmarkModel:
    from sklearn.ensemble import GradientBoostingRegressor

    fitted = GradientBoostingRegressor(n_estimators=100, max_depth=4, random_state=SEED).fit(*_data())
    return _export(fitted, folder, "trees", "gradient boosting, 100 trees of depth 4")


def _network(folder: Path) -> BenchmarkModel:
    from sklearn.neural_network import MLPRegressor

    untrained = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=200, early_stopping=True, random_state=SEED)
    return _export(untrained.fit(*_data()), folder, "network", "neural network, 20 → 64 → 64 → 1")


_MAKERS: Mapping[str, Callable[[Path], BenchmarkModel]] = {"trees": _trees, "network": _network}


def _export(estimator: Any, folder: Path, name: str, title: str) -> BenchmarkModel:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    made = to_onnx(
        estimator,
        initial_types=[(INPUT, FloatTensorType([None, COLUMNS]))],
        final_types=[(OUTPUT, FloatTensorType([None, 1]))],
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    path = folder / f"{name}.onnx"
    path.write_bytes(made.SerializeToString())
    return BenchmarkModel(name, f"{title}; {path.stat().st_size / 1e3:.0f} kB", path)
