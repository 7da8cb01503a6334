"""Threads for inferences that would hold the event loop too long, shared by all models in turns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Waiting(Protocol):
    """Somebody with work."""

    def begin(self) -> bool:
        """A thread is free: calls `start`, or answers False when there is nothing to do any more."""

    def wait_s(self) -> float:
        """How long all its work will take."""


class Workers:
    """A free thread goes to whoever has waited longest; what it does there is decided only then."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="inference")
        self._free = count
        self._waiting: deque[Waiting] = deque()
        self._working: list[Waiting] = []

    def wake(self, somebody: Waiting) -> None:
        """Calls `begin` as soon as a thread is free."""
        self._waiting.append(somebody)
        self._hand_out()

    def start(self, somebody: Waiting, work: Callable[[], Result], ended: Callable[[Result], None]) -> None:
        """Does the work in a thread, which must not raise, and calls `ended` on the event loop."""
        loop = asyncio.get_running_loop()
        self._working.append(somebody)

        def end(made: Result) -> None:
            self._working.remove(somebody)
            self._free += 1
            ended(made)
            self._hand_out()

        self._threads.submit(lambda: loop.call_soon_threadsafe(end, work()))

    def longest_wait_s(self) -> float:
        """Until everybody's work of now is done, if each had a thread."""
        return max((somebody.wait_s() for somebody in (*self._waiting, *self._working)), default=0.0)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=True)

    def _hand_out(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            if not self._waiting.popleft().begin():
                self._free += 1
