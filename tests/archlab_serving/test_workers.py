from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from archlab_serving.workers import Workers

pytestmark = pytest.mark.anyio
TIMEOUT_S = 120.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Somebody:
    """Has `left` pieces of work, each of which is `work()`."""

    name: str
    workers: Workers
    order: list[str]
    left: int = 1
    work: Callable[[], object] = lambda: None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    wait: float = 0.0
    threads: list[tuple[object, int]] = field(default_factory=list)
    """What each piece of work made, and the thread that `ended` ran in."""

    def begin(self) -> bool:
        if not self.left:
            return False
        self.left -= 1
        self.order.append(self.name)
        self.workers.start(self, self.work, self.ended)
        return True

    def ended(self, made: object) -> None:
        self.threads.append((made, threading.get_ident()))
        if self.left:
            self.workers.wake(self)
        else:
            self.done.set()

    def wait_s(self) -> float:
        return self.wait


@pytest.fixture
def one() -> Iterator[Workers]:
    workers = Workers(1)
    yield workers
    workers.close()


async def test_everybody_has_a_turn(one: Workers) -> None:
    order: list[str] = []
    a, b, c = (Somebody(name, one, order, left=3) for name in "abc")
    for somebody in (a, b, c):
        one.wake(somebody)
    for somebody in (a, b, c):
        await asyncio.wait_for(somebody.done.wait(), TIMEOUT_S)
    assert "".join(order) == "abcabcabc"


async def test_work_runs_beside_the_event_loop_and_ends_on_it(one: Workers) -> None:
    somebody = Somebody("a", one, [], work=threading.get_ident)
    one.wake(somebody)
    await asyncio.wait_for(somebody.done.wait(), TIMEOUT_S)
    ((worked, ended),) = somebody.threads
    assert worked != ended == threading.get_ident()


async def test_who_has_nothing_to_do_any_more_leaves_the_thread_to_others(one: Workers) -> None:
    order: list[str] = []
    gone, next_one = Somebody("gone", one, order, left=0), Somebody("next", one, order)
    one.wake(gone)
    one.wake(next_one)
    await asyncio.wait_for(next_one.done.wait(), TIMEOUT_S)
    assert order == ["next"]


async def test_no_more_than_there_are_threads_run(one: Workers) -> None:
    let_go = threading.Event()
    order: list[str] = []
    first = Somebody("first", one, order, work=lambda: let_go.wait(TIMEOUT_S), wait=2.0)
    second = Somebody("second", one, order, wait=5.0)
    one.wake(first)
    one.wake(second)
    assert order == ["first"]
    assert one.longest_wait_s() == 5.0
    let_go.set()
    await asyncio.wait_for(second.done.wait(), TIMEOUT_S)
    assert one.longest_wait_s() == 0.0
