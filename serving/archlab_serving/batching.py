"""Requests that are computed together: putting their inputs together, taking the outputs apart, sharing the time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .costs import Feeds, Run

logger = logging.getLogger("archlab_serving")

Arrays = list[NDArray[Any]]
Form = tuple[tuple[int, ...], ...] | None


class Computed(NamedTuple):
    """What became of one request; `cpu_ns` is its share of the thread's time."""

    arrays: Arrays
    error: Exception | None
    cpu_ns: int


class Ask:
    """One request's part of a batch.

    Args:
        run: the model; all asks of a queue have the same one.
        feeds: one array per input, checked already.
        rows: what it counts for.
        form: `form(feeds)`; asks of one form can be computed together, and None only alone.
        deadline: monotonic seconds.
        gone: whether the caller has hung up.
    """

    __slots__ = ("answered", "deadline", "feeds", "form", "gone", "queued", "rows", "run")

    def __init__(
        self, run: Run, feeds: Feeds, rows: int, form: Form, deadline: float, gone: Callable[[], bool] | None
    ) -> None:
        self.run = run
        self.feeds = feeds
        self.rows = rows
        self.form = form
        self.deadline = deadline
        self.gone = gone
        self.queued = time.monotonic()
        self.answered: asyncio.Future[Computed] = asyncio.get_running_loop().create_future()


def form(feeds: Feeds, rows: int) -> Form:
    """What the inputs must share with others to be computed together; None when they can't be."""
    shapes = tuple(array.shape for array in feeds.values())
    if not rows or any(shape[:1] != (rows,) for shape in shapes):
        return None
    return tuple(shape[1:] for shape in shapes)


def compute(asks: Sequence[Ask]) -> list[Computed]:
    """Answers them together; when that fails, each alone, so that one can't fail another. Runs in any thread."""
    if len(asks) == 1:
        return [_alone(asks[0])]
    started = time.thread_time_ns()
    try:
        arrays = _together(asks)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base of their own
        logger.info("a batch of %d failed, each is computed alone: %s", len(asks), error)
        wasted = shares(time.thread_time_ns() - started, [ask.rows for ask in asks])
        alone = [_alone(ask) for ask in asks]
        return [made._replace(cpu_ns=made.cpu_ns + extra) for made, extra in zip(alone, wasted, strict=True)]
    cpu_ns = shares(time.thread_time_ns() - started, [ask.rows for ask in asks])
    return [Computed(own, None, ns) for own, ns in zip(arrays, cpu_ns, strict=True)]


def shares(total: int, rows: Sequence[int]) -> list[int]:
    """`total` divided by rows into whole numbers whose sum it is."""
    whole = sum(rows)
    return [total * upper // whole - total * lower // whole for lower, upper in pairwise(accumulate(rows, initial=0))]


def _together(asks: Sequence[Ask]) -> list[Arrays]:
    names = asks[0].feeds
    outputs = asks[0].run({name: np.concatenate([ask.feeds[name] for ask in asks]) for name in names})
    bounds = list(pairwise(accumulate((ask.rows for ask in asks), initial=0)))
    if any(len(output) != bounds[-1][1] for output in outputs):
        raise ValueError(f"{bounds[-1][1]} rows gave outputs of shapes {[output.shape for output in outputs]}")
    return [[output[start:end] for output in outputs] for start, end in bounds]


def _alone(ask: Ask) -> Computed:
    started = time.thread_time_ns()
    arrays: Arrays = []
    error = None
    try:
        arrays = list(ask.run(ask.feeds))
    except Exception as raised:  # noqa: BLE001 - it is raised again where the request waits
        error = raised
    return Computed(arrays, error, time.thread_time_ns() - started)
