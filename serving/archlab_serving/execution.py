"""Where and when inference runs: at once on the event loop, or in turn in a thread beside it."""

from __future__ import annotations

from collections.abc import Callable

from .admission import Places, retry_after_s
from .batching import Arrays, Ask, form
from .costs import Feeds
from .errors import UnavailableError
from .lanes import Lane
from .metering import Call
from .runtime import OnnxModel
from .settings import Settings
from .tallies import Tally
from .workers import Workers


class Execution:
    """The server's places and threads, and a queue per model that needs one."""

    def __init__(self, settings: Settings) -> None:
        self.places = Places(settings.max_concurrency)
        self._settings = settings
        self._workers = Workers(settings.workers)
        self._batching = settings.batching == "on"

    def admit(self) -> None:
        """Takes a place.

        Raises:
            UnavailableError: there is none.
        """
        if self.places.full:
            raise UnavailableError(
                f"{self.places.taken} requests are being answered already; try again",
                retry_after_s(self._workers.longest_wait_s()),
            )
        self.places.taken += 1

    def close(self) -> None:
        """Ends the threads."""
        self._workers.close()

    def is_direct(self, model: OnnxModel, rows: int) -> bool:
        """Whether so many rows are so quick that they never wait for anything."""
        return rows <= model.inline_rows and not (model.batching_gains and self._batching)

    def may_run_at_once(self, model: OnnxModel) -> bool:
        """Whether a request of one row would run at once if it came now."""
        if not model.inline_rows:
            return False
        return self.is_direct(model, 1) or model.lane is None or model.lane.is_free

    def take_at_once(self, model: OnnxModel, rows: int, tally: Tally) -> bool:
        """Whether so many rows may be run now, on the event loop's thread; whoever is told so must run them."""
        return self.is_direct(model, rows) or (model.lane or self._lane(model, tally)).alone(rows)

    async def run(
        self,
        model: OnnxModel,
        feeds: Feeds,
        rows: int,
        call: Call,
        deadline: float = 0.0,
        gone: Callable[[], bool] | None = None,
    ) -> Arrays:
        """The model's outputs; the CPU time is the call's, of a batch by its share of the rows.

        Args:
            deadline: monotonic seconds; 0 is none.
            gone: whether the caller has hung up.

        Raises:
            TooManyRequestsError: the model's queue is full, or too long for the deadline.
            DeadlineError: the time was up in the queue.
            CallerGoneError: the caller hung up in the queue.
        """
        if self.take_at_once(model, rows, call.metrics.tally):
            return model.run(feeds)
        ask = Ask(model.run, feeds, rows, form(feeds, rows), deadline, gone)
        (model.lane or self._lane(model, call.metrics.tally)).join(ask)
        call.pause()
        try:
            computed = await ask.answered
        finally:
            call.resume()
        call.cpu_ns += computed.cpu_ns
        if computed.error is not None:
            raise computed.error
        return computed.arrays

    def _lane(self, model: OnnxModel, tally: Tally) -> Lane:
        model.lane = Lane(self._settings, self._workers, self.places, model.cost, model.inline_rows, tally)
        return model.lane
