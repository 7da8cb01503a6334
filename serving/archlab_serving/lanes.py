"""The queue of one loaded model: who waits for it, who goes next, and with whom.

There is no waiting for company. While the model is being run, requests gather, and go as one batch when the run ends.
While it isn't, a request runs at once; others that come in the same turn of the event loop go together at its end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque

from .admission import Drain, Places, retry_after_s
from .batching import Ask, Computed, compute
from .costs import Cost
from .errors import CallerGoneError, DeadlineError, TooManyRequestsError
from .settings import Settings
from .tallies import Tally
from .workers import Workers

logger = logging.getLogger("archlab_serving")

_NS = 1_000_000_000
_INLINE_BATCH_US = 200.0
"""Batches up to this long stay on the event loop's thread: a change of threads and back costs about half of it."""
_LOOKED_AFTER_S = 0.005
"""Callers that have waited so long are looked after before their work begins; a look costs some microseconds."""


class Lane:
    """A model's queue; everything here happens on the event loop.

    It holds no reference to the model but through those who wait, so that an evicted one is gone with its last answer.

    Args:
        cost: of the model.
        inline_rows: most rows that may run on the event loop's thread.
        tally: the figures of the model's version.
    """

    def __init__(
        self, settings: Settings, workers: Workers, places: Places, cost: Cost, inline_rows: int, tally: Tally
    ) -> None:
        self._batches = settings.batching == "on" and cost.batching_gains
        self._settings = settings
        self._workers = workers
        self._places = places
        self._tally = tally
        self._drain = Drain(cost, settings.max_batch_rows if self._batches else 0)
        self._cost = cost
        self._inline_rows = inline_rows if self._batches else 0
        self._width = 1 if self._batches else max(1, settings.workers - 1)
        self._queue: deque[Ask] = deque()
        self._rows = 0
        self._running = 0
        self._busy_until = 0.0
        self._ready = False
        self._woken = 0.0
        self._turn = False
        self._arrivals = 0
        self._crowded = False
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = 0.0

    @property
    def is_free(self) -> bool:
        """Whether nobody is here, and nobody had company in the turn before."""
        return not (self._running or self._queue or self._turn or self._crowded)

    def alone(self, rows: int) -> bool:
        """Whether a request may run at once on the event loop's thread: it is short, and nobody else is here."""
        if rows > self._inline_rows or not self.is_free:
            return False
        self._open_turn()
        self._arrivals = 1
        self._tally.batch_rows.observe(rows)
        self._tally.queue.observe(0)
        return True

    def join(self, ask: Ask) -> None:
        """Queues a request; `ask.answered` has its answer, or the error that it ends with.

        Raises:
            DeadlineError: its time is up already.
            TooManyRequestsError: there is no room, or its time will be up before its turn comes.
        """
        self._admit(ask)
        ask.deadline = min(ask.deadline or float("inf"), ask.queued + self._settings.queue_timeout_s)
        self._queue.append(ask)
        self._count(ask.rows)
        self._arrivals += 1
        if not self._running:
            self._open_turn()
        if self._timer is None or ask.deadline < self._wakes:
            self._wake_at(ask.deadline, ask.queued)

    def begin(self) -> bool:
        """A worker is free: starts the next batch there; False when nobody waits for it any more."""
        self._ready = False
        asks, woken = self._take(), self._woken
        if not asks:
            return False
        self._running += 1
        self._busy_until = time.monotonic() + self._drain.seconds(1, _rows(asks))
        self._workers.start(self, lambda: compute(asks), lambda computed: self._ended(asks, computed, woken))
        self._advance()
        return True

    def wait_s(self) -> float:
        """How long those take that are being run and those that wait."""
        remaining = max(0.0, self._busy_until - time.monotonic()) if self._running else 0.0
        return remaining + self._drain.seconds(len(self._queue), self._rows) / self._width

    def _admit(self, ask: Ask) -> None:
        if 0 < ask.deadline <= ask.queued:
            raise DeadlineError(f"the time was up {ask.queued - ask.deadline:.3f} s before the model could be asked")
        waiting = len(self._queue)
        wait_s = self.wait_s() if waiting or self._running else 0.0
        if waiting and self._rows + ask.rows > self._settings.max_queue_rows:
            raise TooManyRequestsError(f"{self._rows} rows wait for this model already", retry_after_s(wait_s))
        if not self._places.let_wait(waiting):
            raise TooManyRequestsError(f"{waiting} requests wait for this model already", retry_after_s(wait_s))
        if wait_s > self._settings.queue_timeout_s:
            raise TooManyRequestsError(f"the model's queue takes {wait_s:.1f} s", retry_after_s(wait_s))
        own_s = self._drain.seconds(1, ask.rows) if wait_s else self._drain.least_seconds(ask.rows)
        if ask.deadline and ask.queued + wait_s + own_s > ask.deadline:
            given_s = max(0.0, ask.deadline - ask.queued)
            message = f"the answer would take about {wait_s + own_s:.3f} s, the caller waits {given_s:.3f} s"
            raise TooManyRequestsError(message, retry_after_s(wait_s))

    def _open_turn(self) -> None:
        if not self._turn:
            self._turn = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._turn = False
        self._crowded = self._arrivals > 1 or len(self._queue) > 1
        self._arrivals = 0
        self._advance()

    def _advance(self) -> None:
        """Runs a short batch here, asks for a worker for a long one."""
        while self._queue and not self._running and not self._ready and self._is_short():
            asks = self._take()
            if asks:
                self._answer(asks, compute(asks))
        if self._queue and not self._ready and self._running < self._width:
            self._ready, self._woken = True, time.monotonic()
            self._workers.wake(self)

    def _is_short(self) -> bool:
        if len(self._queue) == 1:
            return self._rows <= self._inline_rows
        return self._rows <= self._inline_rows and self._cost.us(self._rows) <= _INLINE_BATCH_US

    def _take(self) -> list[Ask]:
        """The next batch: from the head of the queue as many as fit together; those whose time is up go."""
        now = time.monotonic()
        asks: list[Ask] = []
        rows = 0
        while self._queue:
            ask = self._queue[0]
            if not self._is_wanted(ask, now):
                self._pop()
                continue
            if asks and not (self._batches and ask.form == asks[0].form is not None):
                break
            if asks and rows + ask.rows > self._settings.max_batch_rows:
                break
            rows += ask.rows
            asks.append(self._pop())
            self._tally.queue.observe(int((now - ask.queued) * _NS))
        if asks:
            self._tally.batch_rows.observe(rows)
        return asks

    def _pop(self) -> Ask:
        ask = self._queue.popleft()
        self._count(-ask.rows)
        return ask

    def _count(self, rows: int) -> None:
        self._rows += rows
        self._tally.waiting += rows

    def _is_wanted(self, ask: Ask, now: float) -> bool:
        """Whether somebody still waits for it; otherwise it is answered here."""
        if ask.answered.done():
            return False
        waited_s = now - ask.queued
        if now >= ask.deadline:
            ask.answered.set_exception(DeadlineError(f"the time was up after {waited_s:.3f} s in the model's queue"))
        elif waited_s > _LOOKED_AFTER_S and _is_gone(ask):
            ask.answered.set_exception(CallerGoneError(f"the caller hung up within {waited_s:.3f} s in the queue"))
        return not ask.answered.done()

    def _ended(self, asks: list[Ask], computed: list[Computed], woken: float) -> None:
        self._running -= 1
        self._drain.observe(_rows(asks), time.monotonic() - woken)
        self._answer(asks, computed)
        if self._queue:
            self._open_turn()

    def _answer(self, asks: list[Ask], computed: list[Computed]) -> None:
        for ask, made in zip(asks, computed, strict=True):
            if ask.answered.done():  # the caller gave up while it was computed
                self._tally.cpu_ns += made.cpu_ns
            else:
                ask.answered.set_result(made)

    def _wake_at(self, deadline: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes = deadline
        self._timer = asyncio.get_running_loop().call_later(max(deadline - now, 0.001), self._expire)

    def _expire(self) -> None:
        """Answers those whose time is up, wherever in the queue they are."""
        self._timer = None
        now = time.monotonic()
        waiting = [ask for ask in self._queue if self._is_wanted(ask, now)]
        self._count(sum(ask.rows for ask in waiting) - self._rows)
        self._queue = deque(waiting)
        if waiting:
            self._wake_at(min(ask.deadline for ask in waiting), now)


def _is_gone(ask: Ask) -> bool:
    """Whether the caller has hung up; a transport that can't tell must not lose the others' turn."""
    try:
        return ask.gone is not None and ask.gone()
    except Exception:
        logger.exception("whether a caller has hung up can't be told")
        ask.gone = None
        return False


def _rows(asks: list[Ask]) -> int:
    return sum(ask.rows for ask in asks)
