from __future__ import annotations

import threading
from itertools import count
from typing import Any

import pytest
from numpy.typing import NDArray
from tests.archlab_serving.conftest import linear_model
from tests.archlab_serving.models import embedding, network

from archlab_serving.costs import Cost, Feeds, Run, measure
from archlab_serving.runtime import OnnxModel

Array = NDArray[Any]

ROWS = [("features", "FP32", (-1, 3))]
OUT = [("prediction", "FP32", (-1, 1))]


class Machine:
    """A clock that a run moves on by what its rows cost."""

    def __init__(self, fixed_s: float, row_s: float) -> None:
        self.fixed_s, self.row_s = fixed_s, row_s
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def timed(self, run: Run) -> Run:
        def timed(feeds: Feeds) -> list[Array]:
            self.now += self.fixed_s + self.row_s * len(next(iter(feeds.values())))
            return list(run(feeds))

        return timed


def total(feeds: Feeds) -> list[Array]:
    return [feeds["features"].sum(axis=1, keepdims=True)]


def of(fixed_s: float, row_s: float, run: Run = total) -> Cost:
    machine = Machine(fixed_s, row_s)
    return measure(machine.timed(run), ROWS, OUT, machine.clock)


def test_fixed_part_and_row_are_told_apart() -> None:
    cost = of(2e-3, 1e-5)
    assert cost.fixed_us == pytest.approx(2000, rel=1e-3)
    assert cost.row_us == pytest.approx(10, rel=1e-3)
    assert cost.us(10) == pytest.approx(2100, rel=1e-3)
    assert cost.us(10, runs=2) == pytest.approx(4100, rel=1e-3)
    assert cost.batchable
    assert cost.batching_gains


@pytest.mark.parametrize(("fixed_s", "row_s"), [(10e-6, 1e-6), (1e-3, 5e-3)])
def test_where_little_is_saved_nothing_is_gained(fixed_s: float, row_s: float) -> None:
    cost = of(fixed_s, row_s)
    assert cost.batchable
    assert not cost.batching_gains


def shares_rows(feeds: Feeds) -> list[Array]:
    return [feeds["features"][:, :1] - feeds["features"].mean()]


def loses_rows(feeds: Feeds) -> list[Array]:
    return [total(feeds)[0][:1]]


@pytest.mark.parametrize("run", [shares_rows, loses_rows])
def test_rows_that_depend_on_each_other_are_not_computed_together(run: Run) -> None:
    cost = of(1e-3, 1e-6, run)
    assert not cost.batchable
    assert not cost.batching_gains
    assert cost.inline_rows(inline_ms=10) == 1


def fails(_: Feeds) -> list[Array]:
    raise ValueError("no such word")


def test_a_graph_that_refuses_random_values_is_not_measured() -> None:
    cost = of(0, 0, fails)
    assert cost == Cost()
    assert cost.inline_rows(inline_ms=10) == 0


def test_inline_rows_take_at_most_as_long_as_allowed() -> None:
    cost = of(100e-6, 10e-6)
    rows = cost.inline_rows(inline_ms=1.0)
    assert cost.us(rows) <= 1000 < cost.us(rows + 1)
    assert of(2e-3, 1e-6).inline_rows(inline_ms=1.0) == 0


def test_a_free_extent_beside_the_rows_leaves_the_time_unknown() -> None:
    numbers = count()

    def run(feeds: Feeds) -> list[Array]:
        next(numbers)
        return [feeds["text"].sum(axis=1, keepdims=True)]

    cost = measure(run, [("text", "FP32", (-1, -1))], OUT)
    assert next(numbers), "it was run"
    assert cost.inline_rows(inline_ms=1000) == 0


def test_a_fixed_number_of_rows_is_never_joined_with_others() -> None:
    cost = measure(lambda feeds: [feeds["x"]], [("x", "INT64", (4, 2))], [("y", "INT64", (4, 2))])
    assert not cost.batchable
    assert cost.inline_rows(inline_ms=1000) == 1


@pytest.mark.parametrize(
    ("data", "columns", "gains"),
    [
        (linear_model([1.0] * 20), 20, False),
        (network(20, (64, 64)), 20, False),
        (network(20, (2048, 2048, 2048)), 20, True),
        (embedding(10, (2048, 2048, 2048)), 0, True),
    ],
    ids=["linear", "small network", "large network", "embedding"],
)
def test_real_graphs(data: bytes, columns: int, gains: bool) -> None:
    model = OnnxModel(data, columns, threads=1, inline_ms=1.0)
    assert model.cost.batchable
    assert model.batching_gains is gains


def test_the_threads_own_time_is_not_lengthened_by_others() -> None:
    """As when a version is loaded while the event loop is busy."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(1000))

    spinners = [threading.Thread(target=spin) for _ in range(4)]
    for spinner in spinners:
        spinner.start()
    try:
        cost = OnnxModel(linear_model([1.0] * 20), 20, threads=1, inline_ms=1.0).cost
    finally:
        stop.set()
        for spinner in spinners:
            spinner.join()
    assert not cost.batching_gains, cost
