from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.archlab_serving.conftest import Lab

from archlab_serving.admission import Places
from archlab_serving.batching import Ask, Computed, form
from archlab_serving.costs import Cost, Feeds
from archlab_serving.errors import CallerGoneError, DeadlineError, ServingError, TooManyRequestsError
from archlab_serving.lanes import Lane
from archlab_serving.settings import Settings
from archlab_serving.tallies import Tally
from archlab_serving.workers import Workers

pytestmark = pytest.mark.anyio
TIMEOUT_S = 120.0
GAINS = Cost(fixed_us=1000.0, row_us=1.0, batchable=True, other_extents_fixed=True)
CHEAP = Cost(fixed_us=10.0, row_us=5.0, batchable=True, other_extents_fixed=True)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Model:
    """Answers its input; runs of it wait while it is held."""

    def __init__(self) -> None:
        self.runs: list[list[float]] = []
        self.began = threading.Semaphore(0)
        self._free = threading.Event()
        self._free.set()

    def hold(self) -> None:
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        self.runs.append(feeds["x"][:, 0].tolist())
        self.began.release()
        assert self._free.wait(TIMEOUT_S)
        return [feeds["x"]]


class Bench:
    """A model's lane with what it needs around it."""

    def __init__(self, settings: Settings, cost: Cost, inline_rows: int = 0) -> None:
        self.model = Model()
        self.tally = Tally()
        self.places = Places(settings.max_concurrency)
        self.workers = Workers(settings.workers)
        self.lane = Lane(settings, self.workers, self.places, cost, inline_rows, self.tally)

    def ask(
        self, *values: float, width: int = 1, deadline: float = 0.0, gone: Callable[[], bool] | None = None
    ) -> asyncio.Future[Computed]:
        """Joins the lane; raises what it is refused with."""
        feeds = {"x": np.repeat(np.array(values, dtype=np.float32).reshape(-1, 1), width, axis=1)}
        ask = Ask(self.model.run, feeds, len(values), form(feeds, len(values)), deadline, gone)
        self.lane.join(ask)
        return ask.answered

    async def busy(self) -> asyncio.Future[Computed]:
        """A request that is being run until `let_go`."""
        self.model.hold()
        first = self.ask(0.0)
        began = await asyncio.to_thread(self.model.began.acquire, timeout=TIMEOUT_S)
        assert began
        return first

    def close(self) -> None:
        self.model.let_go()
        self.workers.close()


Benches = Callable[..., Bench]


@pytest.fixture
def bench(lab: Lab) -> Iterator[Benches]:
    made: list[Bench] = []

    def make(cost: Cost = GAINS, inline_rows: int = 0, **changes: Any) -> Bench:
        made.append(Bench(replace(lab.settings(), **changes), cost, inline_rows))
        return made[-1]

    yield make
    for each in made:
        each.close()


async def answers(*futures: asyncio.Future[Computed]) -> list[list[float]]:
    computed = await asyncio.wait_for(asyncio.gather(*futures), TIMEOUT_S)
    return [made.arrays[0][:, 0].tolist() for made in computed]


async def failure(future: asyncio.Future[Computed]) -> ServingError:
    with pytest.raises(ServingError) as raised:
        await asyncio.wait_for(future, TIMEOUT_S)
    return raised.value


async def test_what_comes_during_a_run_goes_together_after_it(bench: Benches) -> None:
    made = bench()
    first = await made.busy()
    others = [made.ask(1.0), made.ask(2.0, 3.0), made.ask(4.0)]
    assert made.tally.waiting == 4
    made.model.let_go()
    assert await answers(first, *others) == [[0], [1], [2, 3], [4]]
    assert made.model.runs == [[0], [1, 2, 3, 4]]
    assert made.tally.waiting == 0
    assert made.tally.batch_rows.total == 5
    assert sum(made.tally.queue.counts) == 4


async def test_what_comes_in_one_turn_of_the_event_loop_goes_together(bench: Benches) -> None:
    made = bench()
    futures = [made.ask(float(number)) for number in range(5)]
    assert await answers(*futures) == [[0], [1], [2], [3], [4]]
    assert made.model.runs == [[0, 1, 2, 3, 4]]


async def test_a_short_lone_request_needs_no_queue(bench: Benches) -> None:
    made = bench(inline_rows=10)
    assert made.lane.alone(1)
    assert not made.lane.alone(1), "another one in the same turn"
    second = made.ask(2.0)
    await answers(second)
    assert not made.lane.alone(1), "the turn before was crowded"
    await answers(made.ask(3.0))
    assert made.lane.alone(10)


async def test_nobody_is_alone_while_a_batch_runs_or_with_many_rows(bench: Benches) -> None:
    made = bench(inline_rows=10)
    assert not made.lane.alone(11)
    made.model.hold()
    first = made.ask(*[0.0] * 11)
    assert await asyncio.to_thread(made.model.began.acquire, timeout=TIMEOUT_S)
    assert not made.lane.alone(1)
    made.model.let_go()
    await answers(first)


async def test_short_batches_run_on_the_event_loop(bench: Benches) -> None:
    made = bench(Cost(60.0, 1.0, batchable=True, other_extents_fixed=True), inline_rows=100)
    made.workers.close()  # a thread would refuse the work
    assert await answers(made.ask(1.0), made.ask(2.0)) == [[1], [2]]
    assert made.model.runs == [[1, 2]]


async def test_a_batch_has_at_most_so_many_rows(bench: Benches) -> None:
    made = bench(max_batch_rows=3)
    first = await made.busy()
    others = [made.ask(1.0), made.ask(2.0), made.ask(3.0, 4.0), made.ask(*range(5, 12)), made.ask(12.0)]
    made.model.let_go()
    await answers(first, *others)
    assert made.model.runs == [[0], [1, 2], [3, 4], list(range(5, 12)), [12]]


async def test_only_inputs_of_one_form_go_together(bench: Benches) -> None:
    made = bench()
    first = await made.busy()
    others = [made.ask(1.0), made.ask(2.0, width=3), made.ask(3.0, width=3)]
    made.model.let_go()
    await answers(first, *others)
    assert made.model.runs == [[0], [1], [2, 3]]


@pytest.mark.parametrize(("cost", "batching"), [(CHEAP, "on"), (GAINS, "off")])
async def test_what_gains_nothing_or_may_not_is_never_joined(bench: Benches, cost: Cost, batching: str) -> None:
    made = bench(cost, batching=batching)
    first = await made.busy()
    others = [made.ask(1.0), made.ask(2.0)]
    made.model.let_go()
    await answers(first, *others)
    assert made.model.runs == [[0], [1], [2]]


async def test_a_model_that_does_not_batch_leaves_one_thread_to_others(bench: Benches) -> None:
    made = bench(CHEAP, workers=3)
    made.model.hold()
    futures = [made.ask(float(number)) for number in range(3)]
    for _ in range(2):
        assert await asyncio.to_thread(made.model.began.acquire, timeout=TIMEOUT_S)
    assert len(made.model.runs) == 2
    made.model.let_go()
    await answers(*futures)


async def test_a_full_queue_says_when_to_ask_again(bench: Benches) -> None:
    made = bench(max_queue_rows=3)
    first = await made.busy()
    others = [made.ask(1.0), made.ask(2.0, 3.0)]
    with pytest.raises(TooManyRequestsError) as refused:
        made.ask(4.0)
    assert refused.value.retry_after_s >= 1
    made.model.let_go()
    assert await answers(first, *others) == [[0], [1], [2, 3]]
    assert await answers(made.ask(4.0)) == [[4]]


async def test_a_queue_leaves_places_to_other_models(bench: Benches) -> None:
    made = bench(max_concurrency=8)
    made.places.taken = 6
    first = await made.busy()
    others = [made.ask(1.0), made.ask(2.0)]
    with pytest.raises(TooManyRequestsError):
        made.ask(3.0)
    made.model.let_go()
    await answers(first, *others)


async def test_who_could_not_be_answered_in_time_is_told_at_once(bench: Benches) -> None:
    made = bench(Cost(1e6, 1.0, batchable=True, other_extents_fixed=True))
    with pytest.raises(TooManyRequestsError, match=r"the answer would take about 1\.0"):
        made.ask(1.0, deadline=time.monotonic() + 0.5)
    assert made.model.runs == []


async def test_who_comes_too_late_is_told_so(bench: Benches) -> None:
    made = bench()
    with pytest.raises(DeadlineError):
        made.ask(1.0, deadline=time.monotonic() - 0.5)


async def test_a_queue_longer_than_the_longest_wait_takes_no_more(bench: Benches) -> None:
    made = bench(Cost(6e6, 1.0, batchable=True, other_extents_fixed=True), max_batch_rows=1, queue_timeout_s=10)
    first = await made.busy()
    second = made.ask(1.0)
    with pytest.raises(TooManyRequestsError, match="queue takes") as refused:
        made.ask(2.0)
    assert 11 <= refused.value.retry_after_s <= 12
    made.model.let_go()
    await answers(first, second)


async def test_time_that_is_up_in_the_queue_ends_the_wait(bench: Benches) -> None:
    made = bench(CHEAP)
    first = await made.busy()
    patient = made.ask(1.0)
    hurried = made.ask(2.0, deadline=time.monotonic() + 0.05)
    assert isinstance(await failure(hurried), DeadlineError)
    made.model.let_go()
    assert await answers(first, patient) == [[0], [1]]
    assert made.model.runs == [[0], [1]]


async def test_nobody_waits_longer_than_the_servers_own_limit(bench: Benches) -> None:
    made = bench(CHEAP, queue_timeout_s=0.05)
    first = await made.busy()
    error = await failure(made.ask(1.0, deadline=time.monotonic() + 1000))
    assert isinstance(error, DeadlineError)
    assert made.tally.waiting == 0
    made.model.let_go()
    await answers(first)


async def test_who_hung_up_is_not_computed(bench: Benches) -> None:
    made = bench()
    first = await made.busy()
    left = made.ask(1.0, gone=lambda: True)
    stays = made.ask(2.0, gone=lambda: False)
    queued = time.monotonic()
    while time.monotonic() < queued + 0.006:  # only who has waited a while is looked after
        await asyncio.sleep(0)
    made.model.let_go()
    assert isinstance(await failure(left), CallerGoneError)
    assert await answers(first, stays) == [[0], [2]]
    assert made.model.runs == [[0], [2]]


async def test_a_transport_that_cannot_tell_who_hung_up_harms_nobody(bench: Benches) -> None:
    made = bench()

    def broken() -> bool:
        raise RuntimeError("no current task")

    first = await made.busy()
    others = [made.ask(1.0, gone=broken), made.ask(2.0)]
    queued = time.monotonic()
    while time.monotonic() < queued + 0.006:
        await asyncio.sleep(0)
    made.model.let_go()
    assert await answers(first, *others) == [[0], [1], [2]]


async def test_who_is_cancelled_in_the_queue_is_not_computed(bench: Benches) -> None:
    made = bench()
    first = await made.busy()
    given_up, stays = made.ask(1.0), made.ask(2.0)
    given_up.cancel()
    made.model.let_go()
    assert await answers(first, stays) == [[0], [2]]
    assert made.model.runs == [[0], [2]]


async def test_time_of_who_is_cancelled_during_the_run_is_the_models(bench: Benches) -> None:
    made = bench()
    first = await made.busy()
    first.cancel()
    made.model.let_go()
    computed = await asyncio.wait_for(made.ask(1.0), TIMEOUT_S)
    assert made.tally.cpu_ns > 0
    assert computed.cpu_ns > 0


async def test_a_lane_keeps_no_model(bench: Benches) -> None:
    """An evicted one goes with its last answer, though a timer of the lane may be left."""
    made = bench()
    await answers(made.ask(1.0, deadline=time.monotonic() + 1000), made.ask(2.0))
    gone = weakref.ref(made.model)
    made.model = Model()
    async with asyncio.timeout(TIMEOUT_S):  # a worker's thread may be about to let go of it
        while gone() is not None:
            await asyncio.sleep(0.001)
            gc.collect()
