from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from archlab import settings
from archlab.pipelines import batch, train
from archlab.spec.business import Ask
from archlab.spec.callers import Caller, EstimateValue
from archlab.spec.grading import BatchRun
from archlab_scenarios.airline.business import BUSINESS

WHEN = datetime(2013, 11, 5, 8, tzinfo=UTC)
CALLERS = {
    "aircraft-reliability": "tail-daily",
    "route-segments": "route-daily",
    "block-time-buffer": "flight-scheduled",
    "missed-connection": "flight-scheduled",
}

pytestmark = pytest.mark.slow


def asked(model: str, data: Path) -> list[Ask]:
    caller = Caller.model_validate(
        {
            "name": "somebody",
            "asks": CALLERS[model],
            "at": timedelta(hours=10),
            "deadline_ms": 1,
            "max_age": timedelta(days=1),
            "represents": 1,
            "value": EstimateValue(tolerance=1, right=1),
        }
    )
    return list(BUSINESS.batch_asks(data, model, caller, WHEN))


@pytest.mark.parametrize("model", sorted(CALLERS))
def test_the_days_subjects_get_an_answer_each(model: str, data: Path, tmp_path: Path) -> None:
    trained = train.trained(settings.home() / "cache", "airline", data, model)
    card, asks = BUSINESS.cards[model], asked(model, data)
    rows = batch.matrix(data, trained.card.columns, asks, WHEN)
    assert rows.shape == (len(asks), len(card.columns))
    assert np.isnan(rows).mean() < 0.2
    answers = batch.predict(trained.onnx, rows)
    assert np.isfinite(answers).all()
    assert len(np.unique(answers)) > 3
    run = BatchRun(id="run-1", model=model, version="1", business_time=WHEN, rows=len(asks), path="x")
    table = batch.table(card, asks, answers, run, trained.card.sha256)
    assert len(table["rows"]) == len(asks)
    assert table["keys"] == list(card.table_keys)
    batch.write(tmp_path / "run-1.parquet", card, asks, answers, "1", "run-1", WHEN)
    written = pq.read_table(tmp_path / "run-1.parquet").to_pydict()
    assert set(written["model_version"]) == {"1"}
    assert set(written["run_id"]) == {"run-1"}
    assert np.array_equal(np.array(written["prediction"], np.float32), answers)
