"""What a graph's inference costs on this machine, and whether rows may be computed together; found out while loading.

The time of n rows is taken to be `fixed + n * row`. Where the fixed part is large, as it is where a matrix has to be
read from memory for one row as for many, computing requests together saves it for all but one of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .protocol.datatypes import BYTES, DATATYPES, FLOATS

logger = logging.getLogger("archlab_serving")

Feeds = Mapping[str, NDArray[Any]]
Run = Callable[[Feeds], Sequence[NDArray[Any]]]
Clock = Callable[[], float]
Spec = tuple[str, str, tuple[int, ...]]
"""Name, datatype, shape; -1 is an extent that requests choose."""

_MOST_ROWS = 64
_MOST_ELEMENTS = 1 << 22
_FREE_EXTENT = 8
"""Stands for a free extent that isn't the first."""
_CHECKED_ROWS = 3
_BUDGET_US = 100_000
"""About how long the larger probe may take."""
_SAVED_US = 50.0
"""A request that waits in a queue and is answered from a batch costs the event loop some 10 to 20 µs more."""


class Cost(NamedTuple):
    """Microseconds; all zero when it could not be measured."""

    fixed_us: float = 0.0
    row_us: float = 0.0
    batchable: bool = False
    """Every input's and output's first extent is free, and a row's answer doesn't depend on the rows beside it."""
    other_extents_fixed: bool = False
    """So that `us` holds for every request."""

    def us(self, rows: int, runs: int = 1) -> float:
        """The time of so many rows in so many runs."""
        return runs * self.fixed_us + rows * self.row_us

    @property
    def batching_gains(self) -> bool:
        """Whether computing requests together saves more than it costs."""
        return self.batchable and self.fixed_us >= max(_SAVED_US, self.row_us)

    def inline_rows(self, inline_ms: float) -> int:
        """Most rows that take no longer than `inline_ms`; 0 when that isn't known."""
        spare_us = inline_ms * 1000 - self.us(1)
        if not self.other_extents_fixed or spare_us < 0:
            return 0
        return 1 + int(spare_us / self.row_us) if self.batchable else 1


def measure(run: Run, inputs: Sequence[Spec], outputs: Sequence[Spec], clock: Clock = time.perf_counter) -> Cost:
    """Times the graph on one row and on many, of random values, and compares their answers with each row's own.

    A graph that refuses random values is not measured.

    Args:
        clock: seconds. Of a graph that the calling thread computes alone the thread's own time is the better measure:
            what else the server does meanwhile doesn't lengthen it.
    """
    free = all(shape[:1] == (-1,) for _, _, shape in (*inputs, *outputs))
    fixed = all(-1 not in shape[free:] for _, _, shape in inputs)
    try:
        single_us = _fastest_us(run, _feeds(inputs, 1), clock)
        if not free:
            return Cost(single_us, 0.0, batchable=False, other_extents_fixed=fixed)
        rows = _probe_rows(inputs, single_us)
        row_us = max(_fastest_us(run, _feeds(inputs, rows), clock) - single_us, 0.0) / (rows - 1)
        batchable = _rows_are_independent(run, _feeds(inputs, _CHECKED_ROWS))
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base of their own
        logger.info("a graph could not be measured, its requests are computed one by one: %s", error)
        return Cost()
    row_us = max(min(row_us, single_us), 1e-3)
    return Cost(single_us - row_us, row_us, batchable, fixed)


def _probe_rows(inputs: Sequence[Spec], single_us: float) -> int:
    elements = sum(int(np.prod(_shape(shape, 1))) for _, _, shape in inputs)
    return max(2, min(_MOST_ROWS, _MOST_ELEMENTS // max(elements, 1), int(_BUDGET_US / max(single_us, 1.0))))


def _fastest_us(run: Run, feeds: Feeds, clock: Clock) -> float:
    """The least of three runs; of more while they are very short, of two when they are long."""
    fastest, total, count = float("inf"), 0.0, 0
    while count < 2 or (total < 0.1 and count < 3) or (total < 0.001 and count < 20):
        started = clock()
        run(feeds)
        took = clock() - started
        fastest, total, count = min(fastest, took), total + took, count + 1
    return fastest * 1e6


def _rows_are_independent(run: Run, feeds: Feeds) -> bool:
    together = run(feeds)
    for row in range(_CHECKED_ROWS):
        alone = run({name: array[row : row + 1] for name, array in feeds.items()})
        if not all(_same(many[row : row + 1], one) for many, one in zip(together, alone, strict=True)):
            return False
    return all(len(array) == _CHECKED_ROWS for array in together)


def _same(some: NDArray[Any], other: NDArray[Any]) -> bool:
    """Equal but for the rounding of sums taken in another order."""
    if some.shape != other.shape or some.dtype.kind != "f":
        return bool(np.array_equal(some, other))
    return bool(np.allclose(some, other, rtol=1e-2 if some.itemsize == 2 else 1e-4, atol=1e-4, equal_nan=True))


def _feeds(inputs: Sequence[Spec], rows: int) -> Feeds:
    random = np.random.default_rng(rows)
    return {name: _array(random, datatype, _shape(shape, rows)) for name, datatype, shape in inputs}


def _array(random: np.random.Generator, datatype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if datatype == BYTES:
        return random.choice(np.array(["a", "b", "c"], dtype=object), shape)
    dtype = DATATYPES[datatype].numpy
    return random.standard_normal(shape).astype(dtype) if datatype in FLOATS else random.integers(0, 2, shape, dtype)


def _shape(shape: tuple[int, ...], rows: int) -> tuple[int, ...]:
    first = tuple(rows if extent < 0 else extent for extent in shape[:1])
    return first + tuple(_FREE_EXTENT if extent < 0 else extent for extent in shape[1:])
