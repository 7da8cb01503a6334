"""What is counted at every request: plain numbers, turned into Prometheus' families when somebody asks for them.

Counting happens on the event loop's thread alone, reading in any. A histogram is copied in one step before it is summed
up, so that its buckets and its count agree.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Identity = tuple[str, str, str]
"""Team, model, version."""

_NS = 1_000_000_000
_BOUNDS_NS = tuple(
    int(second * _NS)
    for second in (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
)
_BOUNDS_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class Distribution:
    """How often values up to each bound were seen, and their sum; whole numbers."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0

    def observe(self, value: int) -> None:
        """One value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self, unit: int) -> list[tuple[str, float]]:
        """Cumulated counts by upper bound, in units of `unit`."""
        bounds = [*(str(bound / unit) for bound in self.bounds), "+Inf"]
        return list(zip(bounds, accumulate(self.counts.copy()), strict=True))


class Tally:
    """The figures of one model's version."""

    __slots__ = ("batch_rows", "codes", "cpu_ns", "queue", "seconds", "waiting")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        """Requests by status."""
        self.cpu_ns = 0
        self.seconds = Distribution(_BOUNDS_NS)
        self.batch_rows = Distribution(_BOUNDS_ROWS)
        self.queue = Distribution(_BOUNDS_NS)
        self.waiting = 0
        """Rows in the queue now."""


class Tallies(Collector):
    """One per version that was ever asked for; none ever goes, because a counter must not fall."""

    def __init__(self) -> None:
        self._by_identity: dict[Identity, Tally] = {}

    def of(self, identity: Identity) -> Tally:
        """The version's figures; zero at first."""
        return self._by_identity.setdefault(identity, Tally())

    def collect(self) -> Iterator[Metric]:
        """The families of Prometheus."""
        tallies = list(self._by_identity.items())
        yield _requests(tallies)
        yield _cpu(tallies)
        yield _histogram(
            "archlab_inference_seconds",
            "Time from the whole request read to the answer made",
            ((identity, tally.seconds) for identity, tally in tallies),
            _NS,
        )
        queued = [(identity, tally) for identity, tally in tallies if tally.batch_rows.total or tally.waiting]
        yield _histogram(
            "archlab_batch_rows",
            "Rows that were computed together, of models that have a queue",
            ((identity, tally.batch_rows) for identity, tally in queued),
            1,
        )
        yield _histogram(
            "archlab_queue_seconds",
            "Time that a request waited before its batch began",
            ((identity, tally.queue) for identity, tally in queued),
            _NS,
        )
        yield _depth(queued)


def _requests(tallies: Iterable[tuple[Identity, Tally]]) -> Metric:
    family = CounterMetricFamily(
        "archlab_inference_requests", "Inference requests", labels=("team", "model", "version", "code")
    )
    for identity, tally in tallies:
        for code, count in tally.codes.copy().items():
            family.add_metric((*identity, str(code)), count)
    return family


def _cpu(tallies: Iterable[tuple[Identity, Tally]]) -> Metric:
    family = CounterMetricFamily(
        "archlab_inference_cpu_seconds",
        "Thread CPU time of parsing, feature look-up and inference",
        labels=("team", "model", "version"),
    )
    for identity, tally in tallies:
        family.add_metric(identity, tally.cpu_ns / _NS)
    return family


def _histogram(name: str, about: str, found: Iterable[tuple[Identity, Distribution]], unit: int) -> Metric:
    family = HistogramMetricFamily(name, about, labels=("model", "version"))
    for (_, model, version), distribution in found:
        family.add_metric((model, version), distribution.buckets(unit), distribution.total / unit)
    return family


def _depth(tallies: Iterable[tuple[Identity, Tally]]) -> Metric:
    family = GaugeMetricFamily("archlab_queue_depth", "Rows that wait for their batch", labels=("model", "version"))
    for (_, model, version), tally in tallies:
        family.add_metric((model, version), tally.waiting)
    return family
