from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from tests.archlab_serving.conftest import Lab

from archlab_serving.metering import Call
from archlab_serving.metrics import Metrics, ModelMetrics
from archlab_serving.tallies import Tallies

DELAY = ("operations", "delay", "1")


def registry(tallies: Tallies) -> CollectorRegistry:
    made = CollectorRegistry(auto_describe=False)
    made.register(tallies)
    return made


def test_requests_are_counted_by_code_with_their_time() -> None:
    tallies = Tallies()
    tally = tallies.of(DELAY)
    tally.codes = {200: 2, 400: 1}
    tally.cpu_ns = 1_500_000_000
    for ns in (90_000, 100_000, 100_001, 2_000_000_000):
        tally.seconds.observe(ns)
    value = registry(tallies).get_sample_value
    labels = {"team": "operations", "model": "delay", "version": "1"}
    assert value("archlab_inference_requests_total", {**labels, "code": "200"}) == 2
    assert value("archlab_inference_requests_total", {**labels, "code": "400"}) == 1
    assert value("archlab_inference_cpu_seconds_total", labels) == 1.5
    named = {"model": "delay", "version": "1"}
    assert value("archlab_inference_seconds_bucket", {**named, "le": "0.0001"}) == 2
    assert value("archlab_inference_seconds_bucket", {**named, "le": "0.00025"}) == 3
    assert value("archlab_inference_seconds_bucket", {**named, "le": "1.0"}) == 3
    assert value("archlab_inference_seconds_bucket", {**named, "le": "+Inf"}) == 4
    assert value("archlab_inference_seconds_count", named) == 4
    assert value("archlab_inference_seconds_sum", named) == 2.000290001


def test_queues_are_exposed_once_there_is_one() -> None:
    tallies = Tallies()
    tally = tallies.of(DELAY)
    assert b"archlab_batch_rows_count" not in generate_latest(registry(tallies))
    tally.batch_rows.observe(16)
    tally.waiting = 5
    value = registry(tallies).get_sample_value
    named = {"model": "delay", "version": "1"}
    assert value("archlab_batch_rows_bucket", {**named, "le": "8.0"}) == 0
    assert value("archlab_batch_rows_bucket", {**named, "le": "16.0"}) == 1
    assert value("archlab_batch_rows_sum", named) == 16
    assert value("archlab_queue_depth", named) == 5


def test_a_version_that_comes_back_goes_on_counting(lab: Lab) -> None:
    metrics = Metrics(lab.settings())
    labels = {"team": "operations", "model": "delay", "version": "1", "code": "200"}
    for expected in (1, 2):
        ModelMetrics(metrics, *DELAY).record(200, 1000, 1000)
        assert metrics.registry.get_sample_value("archlab_inference_requests_total", labels) == expected


def test_only_what_was_asked_is_exposed(lab: Lab) -> None:
    metrics = Metrics(lab.settings())
    asked, _ = ModelMetrics(metrics, *DELAY), ModelMetrics(metrics, "operations", "fuel", "1")
    asked.record(200, 1000, 1000)
    assert b'model="delay"' in metrics.text()
    assert b'model="fuel"' not in metrics.text()


def test_a_call_counts_the_threads_time_without_its_pauses(lab: Lab) -> None:
    metrics = Metrics(lab.settings())
    counted = ModelMetrics(metrics, *DELAY)
    call = Call(counted)
    call.pause()
    _spin()
    call.resume()
    call.end(200)
    paused_ns = counted.tally.cpu_ns
    whole = Call(counted)
    _spin()
    whole.end(200)
    tally = counted.tally
    assert tally.cpu_ns > 5 * paused_ns, "the spin within the pause was counted"
    assert tally.codes == {200: 2}
    assert tally.seconds.total > tally.cpu_ns * 0.9


def _spin() -> None:
    sum(range(300_000))
