"""What the server counts, in Prometheus' text format; the names are in docs/interfaces.md."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from .settings import Settings
from .tallies import Tallies, Tally

_LOAD_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One process's metrics, in a registry of their own."""

    def __init__(self, settings: Settings, runtime: str = "uvicorn") -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=False)
        if runtime != "bento":  # which exposes `process_*` itself
            ProcessCollector(registry=self.registry)
        self.tallies = Tallies()
        self.registry.register(self.tallies)
        self.shadows = self._counter(
            "archlab_shadow_requests", "Of the inference requests, mirrored ones", ("model", "version", "code")
        )
        self.loaded = self._gauge("archlab_model_loaded", "Releases being served", ("model", "version", "release"))
        self.residents = self._gauge("archlab_models_resident", "Versions in memory")
        self.model_memory = self._gauge(
            "archlab_model_memory_bytes",
            "Memory that the version takes, as measured or estimated",
            ("model", "version"),
        )
        self.load_seconds = self._gauge(
            "archlab_model_load_seconds", "Last load: file read, digest checked, session made", ("model", "version")
        )
        self.loads = self._counter("archlab_model_loads", "Loads that ended", ("outcome",))
        self.evictions = self._counter("archlab_model_evictions", "Versions that made room for others")
        self.cold_starts = Histogram(
            "archlab_cold_start_seconds",
            "Time that the first request for a version waited until it was in memory",
            buckets=_LOAD_SECONDS,
            registry=self.registry,
        )
        self.refused = self._counter("archlab_release_refused", "Releases refused", ("model", "reason"))
        self.feed_sequence = self._gauge("archlab_release_feed_sequence", "Sequence of the feed in force")
        self.feed_errors = self._counter("archlab_release_feed_errors", "Feeds that could not be read")
        self.snapshot_sequence = self._gauge("archlab_feature_snapshot_sequence", "Sequence of the snapshot in force")
        self.snapshot_errors = self._counter("archlab_feature_snapshot_errors", "Snapshots that could not be read")
        self.feature_age = self._gauge(
            "archlab_feature_age_seconds",
            "Business time between the view's materialisation and the snapshot",
            ("view",),
        )
        self.log_dropped = self._counter("archlab_prediction_log_dropped", "Prediction records given up")
        self.log_errors = self._counter("archlab_prediction_log_errors", "Writes of the prediction log that failed")
        self.share_refusals = self._counter(
            "archlab_share_refused", "Requests beyond their team's share of the server's places", ("team",)
        )
        self.share_places = self._gauge("archlab_share_places", "Places that a team's requests may take", ("team",))
        self.in_flight = self._gauge("archlab_inference_in_flight", "Requests being answered")
        info = self._gauge("archlab_server_info", "Who this is", ("unit", "replica", "pool", "runtime"))
        info.labels(settings.unit, settings.replica, settings.pool, runtime).set(1)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)

    def _counter(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, about, labels, registry=self.registry)


class ModelMetrics:
    """One version's figures, which are exposed from its first request on."""

    __slots__ = ("_identity", "_tallies", "_tally", "version")

    def __init__(self, metrics: Metrics, team: str, model: str, version: str) -> None:
        self._tallies = metrics.tallies
        self._identity = (team, model, version)
        self._tally: Tally | None = None
        self.version = version

    @property
    def tally(self) -> Tally:
        """The figures; two releases of one version share them."""
        if self._tally is None:
            self._tally = self._tallies.of(self._identity)
        return self._tally

    def record(self, code: int, elapsed_ns: int, cpu_ns: int) -> None:
        """One request, answered or refused."""
        tally = self._tally or self.tally
        codes = tally.codes
        codes[code] = codes.get(code, 0) + 1
        tally.cpu_ns += cpu_ns
        tally.seconds.observe(elapsed_ns)
