from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.archlab_serving.conftest import Lab, linear_model
from tests.archlab_serving.models import embedding, network

from archlab_serving.errors import DeadlineError, TooManyRequestsError, UnavailableError
from archlab_serving.execution import Execution
from archlab_serving.metering import Call
from archlab_serving.metrics import Metrics, ModelMetrics
from archlab_serving.runtime import OnnxModel

pytestmark = pytest.mark.anyio
COLUMNS = 8
WIDE = (2048, 2048, 2048)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def execution(lab: Lab) -> Iterator[Execution]:
    made = Execution(lab.settings(max_concurrency=100))
    yield made
    made.close()


@pytest.fixture
def figures(lab: Lab) -> ModelMetrics:
    return ModelMetrics(Metrics(lab.settings()), "operations", "delay", "1")


def matrix(rows: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((rows, COLUMNS)).astype(np.float32)


async def predict(execution: Execution, model: OnnxModel, features: NDArray[Any], call: Call) -> NDArray[Any]:
    (prediction,) = await execution.run(model, {"features": features}, len(features), call)
    return prediction


async def test_places_are_counted_and_bounded(lab: Lab) -> None:
    execution = Execution(lab.settings(max_concurrency=2))
    execution.admit()
    execution.admit()
    with pytest.raises(UnavailableError) as refused:
        execution.admit()
    assert refused.value.retry_after_s >= 1
    execution.places.taken -= 1
    execution.admit()
    execution.close()


async def test_a_cheap_model_never_waits_for_anything(execution: Execution, figures: ModelMetrics) -> None:
    model = OnnxModel(linear_model([1.0] * COLUMNS), COLUMNS, threads=1, inline_ms=1.0)
    assert execution.is_direct(model, 4)
    asked = [matrix(4, seed) for seed in range(8)]
    made = await asyncio.gather(*(predict(execution, model, each, Call(figures)) for each in asked))
    for each, prediction in zip(asked, made, strict=True):
        np.testing.assert_allclose(prediction, each.sum(axis=1, keepdims=True), rtol=1e-5)
    assert model.lane is None
    assert not figures.tally.batch_rows.total


async def test_a_costly_model_is_asked_for_several_at_once(execution: Execution, figures: ModelMetrics) -> None:
    model = OnnxModel(network(COLUMNS, WIDE), COLUMNS, threads=1, inline_ms=1.0)
    assert not execution.is_direct(model, 1)
    asked = [matrix(1, seed) for seed in range(16)]
    made = await asyncio.gather(*(predict(execution, model, each, Call(figures)) for each in asked))
    for each, prediction in zip(asked, made, strict=True):
        np.testing.assert_allclose(prediction, model.predict(each), rtol=1e-4, atol=1e-5)
    assert figures.tally.batch_rows.total == 16
    assert sum(figures.tally.batch_rows.counts) < 16


async def test_a_lone_request_of_a_costly_model_runs_at_once(execution: Execution, figures: ModelMetrics) -> None:
    model = OnnxModel(network(COLUMNS, WIDE), COLUMNS, threads=1, inline_ms=1000.0)
    assert execution.may_run_at_once(model)
    assert execution.take_at_once(model, 1, figures.tally)
    assert not execution.may_run_at_once(model), "another one in the same turn of the event loop"
    assert not execution.take_at_once(model, 1, figures.tally)
    await asyncio.sleep(0)
    assert execution.may_run_at_once(model)
    assert not execution.take_at_once(model, model.inline_rows + 1, figures.tally)


async def test_what_never_runs_at_once(execution: Execution) -> None:
    model = OnnxModel(network(COLUMNS, WIDE), COLUMNS, threads=1, inline_ms=0.0)
    assert not execution.may_run_at_once(model)


async def test_the_calls_get_the_whole_time_of_the_batch(execution: Execution, figures: ModelMetrics) -> None:
    model = OnnxModel(network(COLUMNS, WIDE), COLUMNS, threads=1, inline_ms=1.0)
    calls = [Call(figures) for _ in range(8)]
    await asyncio.gather(*(predict(execution, model, matrix(1), call) for call in calls))
    assert sum(call.cpu_ns for call in calls) > 0.5e3 * model.cost.fixed_us, "of one run at least"


async def test_one_that_fails_fails_alone(execution: Execution, figures: ModelMetrics) -> None:
    model = OnnxModel(embedding(10, WIDE), 0, threads=1, inline_ms=1.0)
    assert model.batching_gains

    async def ask(token: int) -> NDArray[Any]:
        feeds = {"token": np.array([token], dtype=np.int64)}
        return (await execution.run(model, feeds, 1, Call(figures)))[0]

    one, bad, other = (asyncio.ensure_future(ask(number)) for number in (1, 99, 2))
    np.testing.assert_allclose(await one, await ask(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(await other, await ask(2), rtol=1e-4, atol=1e-5)
    with pytest.raises(Exception, match="99"):
        await bad


@pytest.mark.parametrize(("within_s", "error"), [(0.05, TooManyRequestsError), (-1.0, DeadlineError)])
async def test_a_deadline_that_cannot_be_kept(
    execution: Execution, figures: ModelMetrics, within_s: float, error: type[Exception]
) -> None:
    model = OnnxModel(network(COLUMNS, WIDE), COLUMNS, threads=1, inline_ms=0.1)
    rows = int(1e6 / model.cost.row_us)
    feeds = {"features": matrix(rows)}
    with pytest.raises(error):
        await execution.run(model, feeds, rows, Call(figures), deadline=time.monotonic() + within_s)
