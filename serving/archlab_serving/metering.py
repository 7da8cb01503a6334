"""Stop watches of one request: wall time, and the CPU time that its own thread spent on it."""

from __future__ import annotations

from time import perf_counter_ns as _clock
from time import thread_time_ns as _cpu_clock

from .metrics import ModelMetrics
from .protocol.messages import InferRequest


class Call:
    """One request's time, from the whole body read to the answer made."""

    __slots__ = ("_cpu_started", "_started", "cpu_ns", "metrics", "request")

    def __init__(self, metrics: ModelMetrics) -> None:
        self.metrics = metrics
        self.request: InferRequest | None = None
        """What was read of it, once it has been."""
        self.cpu_ns = 0
        self._started = _clock()
        self._cpu_started = _cpu_clock()

    def pause(self) -> None:
        """Other requests run on this thread from here."""
        self.cpu_ns += _cpu_clock() - self._cpu_started

    def resume(self) -> None:
        """The request has its thread back."""
        self._cpu_started = _cpu_clock()

    def elapsed_us(self) -> int:
        """Wall time so far."""
        return (_clock() - self._started) // 1000

    def end(self, code: int) -> None:
        """Puts the request into the metrics."""
        cpu_ns = self.cpu_ns + _cpu_clock() - self._cpu_started
        self.metrics.record(code, _clock() - self._started, cpu_ns)
