from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from archlab_serving.batching import Ask, compute, form, shares
from archlab_serving.costs import Feeds, Run

Array = NDArray[Any]


def rows(*values: float) -> Feeds:
    return {"x": np.array(values, dtype=np.float32).reshape(-1, 1)}


class Doubler:
    """Doubles its input; a negative value makes the run fail. Keeps how many rows each run had."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def __call__(self, feeds: Feeds) -> list[Array]:
        self.runs.append(len(feeds["x"]))
        if (feeds["x"] < 0).any():
            raise ValueError("below zero")
        return [feeds["x"] * 2]


def asks(run: Run, *feeds: Feeds) -> list[Ask]:
    async def made() -> list[Ask]:
        return [Ask(run, each, len(each["x"]), form(each, len(each["x"])), deadline=0.0, gone=None) for each in feeds]

    return asyncio.run(made())


def test_everyone_gets_their_own_rows() -> None:
    run = Doubler()
    computed = compute(asks(run, rows(1), rows(2, 3), rows(4)))
    assert run.runs == [4]
    assert [made.arrays[0].ravel().tolist() for made in computed] == [[2], [4, 6], [8]]
    assert all(made.error is None for made in computed)


def test_one_that_fails_fails_alone() -> None:
    run = Doubler()
    good, bad, other = compute(asks(run, rows(1), rows(-1), rows(3)))
    assert run.runs == [3, 1, 1, 1]
    assert good.arrays[0].tolist() == [[2]]
    assert other.arrays[0].tolist() == [[6]]
    assert isinstance(bad.error, ValueError)
    assert min(made.cpu_ns for made in (good, bad, other)) > 0


def test_outputs_that_lost_rows_are_not_shared_out() -> None:
    def merges(feeds: Feeds) -> list[Array]:
        return [feeds["x"].sum(axis=0, keepdims=True)]

    one, other = compute(asks(merges, rows(1), rows(2)))
    assert one.arrays[0].tolist() == [[1]]
    assert other.arrays[0].tolist() == [[2]]


def test_a_batch_of_one_is_the_request_itself() -> None:
    (asked,) = asks(lambda feeds: [feeds["x"]], rows(1, 2))
    (made,) = compute([asked])
    assert made.arrays[0] is asked.feeds["x"]


@given(st.integers(0, 10**12), st.lists(st.integers(1, 5000), min_size=1, max_size=300))
def test_shares_add_up_to_the_last_nanosecond(total: int, counts: list[int]) -> None:
    parts = shares(total, counts)
    assert sum(parts) == total
    whole = sum(counts)
    assert all(abs(part - total * count / whole) <= 1 for part, count in zip(parts, counts, strict=True))


@pytest.mark.parametrize(
    ("feeds", "count", "expected"),
    [
        ({"a": np.zeros((2, 3)), "b": np.zeros(2)}, 2, ((3,), ())),
        ({"a": np.zeros((2, 3)), "b": np.zeros((3, 3))}, 2, None),
        ({"a": np.zeros((0, 3))}, 1, None),
        ({"a": np.zeros((0, 3))}, 0, None),
        ({"a": np.zeros(())}, 1, None),
    ],
    ids=["same rows", "other rows", "no rows", "nothing", "scalar"],
)
def test_form(feeds: Feeds, count: int, expected: object) -> None:
    assert form(feeds, count) == expected
