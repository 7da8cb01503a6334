"""Stop watches of one request: wall time, and the CPU time that its own thread spent on it."""

from __future__ import annotations

import time

from .metrics import ModelMetrics


class Call:
    """One request's time, from the whole body read to the answer made."""

    __slots__ = ("_cpu_started", "_started", "cpu_ns", "metrics")

    def __init__(self, metrics: ModelMetrics) -> None:
        self.metrics = metrics
        self.cpu_ns = 0
        self._started = time.perf_counter_ns()
        self._cpu_started = time.thread_time_ns()

    def pause(self) -> None:
        """Other requests run on this thread from here."""
        self.cpu_ns += time.thread_time_ns() - self._cpu_started

    def resume(self) -> None:
        """The request has its thread back."""
        self._cpu_started = time.thread_time_ns()

    def elapsed_us(self) -> int:
        """Wall time so far."""
        return (time.perf_counter_ns() - self._started) // 1000

    def end(self, code: int) -> None:
        """Puts the request into the metrics."""
        self.pause()
        self.metrics.record(code, (time.perf_counter_ns() - self._started) / 1e9, self.cpu_ns / 1e9)
