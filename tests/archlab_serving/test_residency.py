"""What is in memory when: one load for all who wait, eviction under a limit, failures, operators."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from tests.archlab_serving.conftest import POOL, Lab, linear_model

from archlab_serving.errors import RefusedReleaseError, UnavailableError
from archlab_serving.feed import Release, read_feed
from archlab_serving.metrics import Metrics
from archlab_serving.model_file import ModelFile
from archlab_serving.residency import Residency
from onnx_models import weighty

MIB = 1 << 20
COLUMNS = {"columns": [{"name": name, "source": "request"} for name in "abcde"], "keys": []}
DEADLINE_S = 120.0


@pytest.fixture(autouse=True)
def _nothing_left() -> None:
    """What other tests left to be collected would be freed while a model is loaded, and be taken off its size."""
    gc.collect()


class Memory:
    """A residency over the lab's files."""

    def __init__(self, lab: Lab, **settings: Any) -> None:
        self.lab = lab
        self.settings = lab.settings(**settings)
        self.metrics = Metrics(self.settings)
        self.residency = Residency(self.settings, self.metrics)

    def file(self, model: str, data: bytes) -> ModelFile:
        return self.residency.file(release(self.lab, model, data))

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    @property
    def evictions(self) -> float:
        return self.value("archlab_model_evictions_total")


def release(lab: Lab, model: str, data: bytes, **changes: Any) -> Release:
    lab.publish(lab.release(data, model=model, **{**COLUMNS, **changes}))
    (made,) = read_feed(lab.feed, POOL).releases
    return made


def run(memory: Memory, scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scenario(), DEADLINE_S)

    try:
        asyncio.run(bounded())
    finally:
        memory.residency.close()


async def use(memory: Memory, file: ModelFile) -> None:
    """One request."""
    with file:
        await memory.residency.load(file)
        assert file.backend is not None


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0)


def test_one_load_serves_all_who_wait(lab: Lab) -> None:
    memory = Memory(lab)
    file = memory.file("delay", weighty(1))

    async def scenario() -> None:
        await asyncio.gather(*(use(memory, file) for _ in range(50)))

    run(memory, scenario)
    assert memory.value("archlab_model_loads_total", outcome="loaded") == 1
    assert memory.value("archlab_cold_start_seconds_count") == 1
    assert memory.value("archlab_models_resident") == 1
    assert memory.value("archlab_model_memory_bytes", model="delay", version="1") == file.memory_bytes >= MIB
    assert memory.value("archlab_model_load_seconds", model="delay", version="1") > 0


def test_the_least_recently_used_makes_room(lab: Lab) -> None:
    memory = Memory(lab, memory_limit_bytes=int(2.5 * MIB))
    one, two, three = (memory.file(f"m{n}", weighty(1, n)) for n in range(3))

    async def scenario() -> None:
        for file in (one, two, one, three):
            await use(memory, file)

    run(memory, scenario)
    assert [file.backend is not None for file in (one, two, three)] == [True, False, True]
    assert memory.evictions == 1
    assert memory.value("archlab_models_resident") == 2
    assert memory.value("archlab_model_memory_bytes", model="m1", version="1") == 0


def test_a_pinned_model_stays_and_what_never_fits_is_told_the_limit_and_the_need(lab: Lab) -> None:
    memory = Memory(lab, memory_limit_bytes=int(2.5 * MIB), pinned=frozenset({"pinned"}))
    pinned, other, large = (memory.file(*m) for m in (("pinned", weighty(1)), ("m", weighty(1, 1)), ("l", weighty(2))))

    async def scenario() -> None:
        for file in (pinned, other):
            await use(memory, file)
        with pytest.raises(UnavailableError, match=rf"l:1 needs \d+ bytes, .*MEMORY_LIMIT_BYTES is {int(2.5 * MIB)}"):
            await use(memory, large)

    run(memory, scenario)
    assert pinned.backend is not None
    assert other.backend is not None, "nothing is evicted for what would not fit all the same"
    assert large.backend is None


def test_what_is_being_answered_from_is_waited_for(lab: Lab) -> None:
    memory = Memory(lab, memory_limit_bytes=int(1.5 * MIB))
    one, two = (memory.file(f"m{n}", weighty(1, n)) for n in range(2))

    async def scenario() -> None:
        await use(memory, one)
        with one:
            waiting = asyncio.create_task(use(memory, two))
            await until(lambda: one.wanted_idle, "somebody to wait for the request")
            assert one.backend is not None
            assert two.backend is None
        await waiting

    run(memory, scenario)
    assert (one.backend is None, two.backend is None) == (True, False)


def test_a_busy_model_is_waited_for_only_so_long(lab: Lab) -> None:
    memory = Memory(lab, memory_limit_bytes=int(1.5 * MIB), load_timeout_s=0.2)
    one, two = (memory.file(f"m{n}", weighty(1, n)) for n in range(2))

    async def scenario() -> None:
        await use(memory, one)
        with one:
            with pytest.raises(UnavailableError, match=r"models that can't go now|still being loaded"):
                await use(memory, two)
            assert one.backend is not None

    run(memory, scenario)


def test_a_champion_in_use_goes_last(lab: Lab) -> None:
    memory = Memory(lab, memory_limit_bytes=int(2.5 * MIB))
    one, two, three = (memory.file(f"m{n}", weighty(1, n)) for n in range(3))
    one.champion = True

    async def scenario() -> None:
        for file in (one, two, three):
            await use(memory, file)

    run(memory, scenario)
    assert [file.backend is not None for file in (one, two, three)] == [True, False, True]


def test_a_model_that_is_larger_than_expected_makes_room_too(lab: Lab) -> None:
    memory = Memory(lab, memory_limit_bytes=56 * MIB)  # large against what else comes and goes on the heap
    small, grown = memory.file("small", weighty(16)), memory.file("grown", weighty(24, dtype=np.float16))

    async def scenario() -> None:
        await use(memory, small)
        await use(memory, grown)

    run(memory, scenario)
    assert grown.memory_bytes > 40 * MIB, "float16 weights become float32"
    assert (small.backend is None, grown.backend is None) == (True, False)


def test_what_answers_while_a_model_turns_out_larger_goes_with_its_last_request(lab: Lab) -> None:
    memory = Memory(lab, memory_limit_bytes=56 * MIB)
    busy, grown = memory.file("busy", weighty(16)), memory.file("grown", weighty(24, dtype=np.float16))

    async def scenario() -> None:
        with busy:
            await memory.residency.load(busy)
            await use(memory, grown)
            assert busy.backend is not None
        assert (busy.backend is None, grown.backend is None) == (True, False)

    run(memory, scenario)
    assert memory.evictions == 1


def test_a_model_that_turns_out_too_large_is_dropped_and_its_size_remembered(lab: Lab) -> None:
    # Large against what else may come and go on the heap of a test process.
    memory = Memory(lab, memory_limit_bytes=32 * MIB)
    first, grown = memory.file("first", linear_model([1.0] * 5)), memory.file("grown", weighty(24, dtype=np.float16))

    async def scenario() -> None:
        await use(memory, first)
        for _ in range(2):
            with pytest.raises(UnavailableError, match="grown:1 needs"):
                await use(memory, grown)
            grown.failure = None

    run(memory, scenario)
    assert grown.backend is None
    assert memory.value("archlab_model_loads_total", outcome="loaded") == 2, "the second time nothing is loaded"


def test_a_failed_load_is_remembered_and_tried_again(lab: Lab) -> None:
    memory = Memory(lab)
    file = memory.file("delay", linear_model([1.0] * 5))
    blob = lab.feed.parent / file.release.path
    data = blob.read_bytes()
    blob.write_bytes(b"something else")

    async def scenario() -> None:
        for _ in range(3):
            with pytest.raises(UnavailableError, match=r"delay:1 can't be loaded \(digest\)"):
                await use(memory, file)
        assert not memory.residency.will_answer(file)
        blob.write_bytes(data)
        await until(lambda: memory.residency.will_answer(file), "readiness to try again")
        await use(memory, file)

    run(memory, scenario)
    assert memory.value("archlab_model_loads_total", outcome="failed") == 1
    assert memory.value("archlab_release_refused_total", model="delay", reason="digest") == 1


def test_waiting_for_a_load_has_an_end(lab: Lab) -> None:
    memory = Memory(lab, load_timeout_s=0.001)
    file = memory.file("large", weighty(16))

    async def scenario() -> None:
        with pytest.raises(UnavailableError, match=r"large:1 is still being loaded after 0\.001 s"):
            await use(memory, file)
        await until(lambda: file.backend is not None, "the load to end all the same")
        await use(memory, file)

    run(memory, scenario)


def test_an_unloaded_model_drains_and_refuses_until_it_is_reopened(lab: Lab) -> None:
    memory = Memory(lab)
    file = memory.file("delay", weighty(1))

    async def scenario() -> None:
        await use(memory, file)
        with file:
            memory.residency.unload("delay", [file])
            assert file.backend is not None, "the request goes on"
            with pytest.raises(UnavailableError, match="unloaded by an operator"):
                await use(memory, file)
        assert file.backend is None
        later = memory.file("delay", weighty(1, 2))
        with pytest.raises(UnavailableError, match="unloaded by an operator"):
            await use(memory, later)
        memory.residency.reopen("delay", [file, later])
        await use(memory, file)
        await use(memory, later)

    run(memory, scenario)


def test_what_no_release_needs_goes_with_its_last_request(lab: Lab) -> None:
    memory = Memory(lab)
    kept, gone, busy = (memory.file(f"m{n}", linear_model([1.0] * 5, n)) for n in range(3))

    async def scenario() -> None:
        for file in (kept, gone, busy):
            await use(memory, file)
        with busy:
            memory.residency.follow([kept])
            assert [file.backend is None for file in (kept, gone, busy)] == [False, True, False]
        assert busy.backend is None

    run(memory, scenario)
    assert memory.evictions == 0
    assert memory.value("archlab_models_resident") == 1


def test_preparing_says_when_there_is_no_room_and_when_the_file_is_bad(lab: Lab) -> None:
    memory = Memory(lab, memory_limit_bytes=int(1.5 * MIB))
    one, two = (memory.file(f"m{n}", weighty(1, n)) for n in range(2))
    bad = memory.file("bad", b"not ONNX")

    async def scenario() -> None:
        assert await memory.residency.prepare(one, evict=False)
        assert not await memory.residency.prepare(two, evict=False)
        assert two.failure is None, "its first request may make room"
        with pytest.raises(RefusedReleaseError, match="ONNX Runtime refuses"):
            await memory.residency.prepare(bad, evict=False)
        await use(memory, two)

    run(memory, scenario)
    assert one.backend is None


def test_a_tensor_model_is_loaded_to_be_described_and_a_columnar_one_is_not(lab: Lab) -> None:
    memory = Memory(lab)
    data = linear_model([1.0] * 5)
    columnar = memory.file("columnar", data)
    tensor = memory.residency.file(release(lab, "tensor", data, columns=[]))

    async def scenario() -> None:
        assert (await memory.residency.describe(columnar)).inputs[0].shape == (-1, 5)
        assert columnar.backend is None
        assert (await memory.residency.describe(tensor)).outputs[0].name == "prediction"
        assert tensor.backend is not None
        memory.residency.follow([])
        assert tensor.backend is None
        assert (await memory.residency.describe(tensor)).inputs[0].name == "features"
        assert tensor.backend is None, "it is remembered"

    run(memory, scenario)
