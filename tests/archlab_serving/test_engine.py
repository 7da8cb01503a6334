"""A live server under load: what is computed together, what is refused, and what goes on beside it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, linear_model, wait_for
from tests.archlab_serving.models import embedding, network

from archlab_serving.runtime import OnnxModel

COLUMNS = 8
WIDE = (2048, 2048, 2048)
BIAS = 100.0
LARGE = 4096
"""Rows: the most that a server takes at once."""
CONNECTIONS = 16
NAMES = [{"name": f"c{number}", "source": "request"} for number in range(COLUMNS)]
DEADLINE = "x-envoy-expected-rq-timeout-ms"


def publish(lab: Lab) -> None:
    """A cheap model; a costly one in two versions; a costly one that some tokens make fail."""
    lab.publish(
        lab.release(linear_model([1.0] * COLUMNS), model="cheap", columns=NAMES, keys=[]),
        lab.release(network(COLUMNS, WIDE), model="wide", columns=NAMES, keys=[]),
        lab.release(network(COLUMNS, WIDE, BIAS), model="wide", version="2", role="challenger", columns=NAMES, keys=[]),
        lab.release(embedding(10, WIDE), model="words", columns=[], keys=[]),
    )


@pytest.fixture(scope="module")
def server(shared_lab: Lab, shared_launch: Launcher) -> RunningServer:
    publish(shared_lab)
    return shared_launch.start()


def row(number: int) -> NDArray[np.float32]:
    return np.random.default_rng(number).standard_normal((1, COLUMNS)).astype(np.float32)


def features(matrix: NDArray[np.float32], **rest: Any) -> dict[str, Any]:
    tensor = {"name": "features", "datatype": "FP32", "shape": list(matrix.shape), "data": matrix.ravel().tolist()}
    return {"inputs": [tensor], **rest}


def token(number: int) -> dict[str, Any]:
    return {"inputs": [{"name": "token", "datatype": "INT64", "shape": [1], "data": [number]}]}


@contextlib.contextmanager
def connection(server: RunningServer) -> Iterator[httpx.Client]:
    transport = httpx.HTTPTransport(uds=str(server.socket))
    with httpx.Client(transport=transport, base_url="http://server", timeout=60) as client:
        yield client


def together(server: RunningServer, callers: Sequence[Callable[[httpx.Client], None]]) -> None:
    """Every caller over a connection of its own, all at once."""
    start = threading.Barrier(len(callers))

    def run(caller: Callable[[httpx.Client], None]) -> None:
        with connection(server) as client:
            start.wait(60)
            caller(client)

    with ThreadPoolExecutor(len(callers)) as threads:
        for done in [threads.submit(run, caller) for caller in callers]:
            done.result()


def asking(path: str, number: int, expected: float, version: str, times: int = 6) -> Callable[[httpx.Client], None]:
    """A caller with a row of its own that checks its answers."""

    def ask(client: httpx.Client) -> None:
        for _ in range(times):
            answer = client.post(path, json=features(row(number)))
            assert answer.status_code == 200, answer.text
            document = answer.json()
            assert document["model_version"] == version
            assert document["outputs"][0]["data"] == [pytest.approx(expected, rel=1e-4, abs=1e-4)]

    return ask


@pytest.fixture(scope="module")
def wide() -> OnnxModel:
    return OnnxModel(network(COLUMNS, WIDE), COLUMNS, threads=1, inline_ms=1.0)


def batches(server: RunningServer, model: str, version: str = "1") -> tuple[float, float]:
    """Batches and their rows so far."""
    labels = f'{{model="{model}",version="{version}"}}'
    return server.metric(f"archlab_batch_rows_count{labels}"), server.metric(f"archlab_batch_rows_sum{labels}")


def test_many_connections_share_runs_and_get_their_own_rows(server: RunningServer, wide: OnnxModel) -> None:
    """They come while a large request is computed, alone, so that they wait for one another on any machine."""
    before = batches(server, "wide")
    path = "/v2/models/wide/infer"
    callers = [asking(path, n, wide.predict(row(n)).item(), "1") for n in range(CONNECTIONS)]
    large = features(np.zeros((LARGE, COLUMNS), dtype=np.float32))
    with connection(server) as client, ThreadPoolExecutor(1) as thread:
        first = thread.submit(client.post, path, json=large)
        wait_for(lambda: server.metric("archlab_inference_in_flight") == 1, "the large one to be computed")
        together(server, callers)
        assert first.result().status_code == 200
    runs, rows = np.subtract(batches(server, "wide"), before) - (1, LARGE)
    assert rows == 6 * CONNECTIONS
    assert runs <= rows - CONNECTIONS / 2
    assert server.metric('archlab_queue_depth{model="wide",version="1"}') == 0
    assert server.metric('archlab_queue_seconds_count{model="wide",version="1"}') >= rows


def test_versions_are_never_computed_together(server: RunningServer, wide: OnnxModel) -> None:
    callers = []
    for number in range(CONNECTIONS):
        version = "1" if number % 2 else "2"
        expected = wide.predict(row(number)).item() + (0 if number % 2 else BIAS)
        callers.append(asking(f"/v2/models/wide/versions/{version}/infer", number, expected, version))
    together(server, callers)
    assert batches(server, "wide", "2")[1] == 6 * CONNECTIONS / 2


def test_a_cheap_model_is_never_batched(server: RunningServer) -> None:
    path = "/v2/models/cheap/infer"
    together(server, [asking(path, n, row(n).sum().item(), "1", times=20) for n in range(CONNECTIONS)])
    assert batches(server, "cheap") == (0, 0)


def test_a_request_that_fails_does_not_fail_its_mates(server: RunningServer) -> None:
    path = "/v2/models/words/infer"
    with connection(server) as client:
        expected = [client.post(path, json=token(number)).json()["outputs"][0]["data"][0] for number in range(10)]

    def good(number: int) -> Callable[[httpx.Client], None]:
        def ask(client: httpx.Client) -> None:
            for _ in range(6):
                answer = client.post(path, json=token(number))
                assert answer.status_code == 200, answer.text
                assert answer.json()["outputs"][0]["data"] == [pytest.approx(expected[number], rel=1e-3, abs=1e-3)]

        return ask

    def bad(client: httpx.Client) -> None:
        for _ in range(6):
            assert client.post(path, json=token(77)).status_code >= 400

    together(server, [*(good(number) for number in range(10)), bad, bad, bad])


@pytest.mark.parametrize(
    ("rest", "headers", "status"),
    [
        ({"parameters": {"timeout": 1}}, {}, 504),
        ({"parameters": {"timeout": 150_000}}, {}, 429),
        ({}, {DEADLINE: "150"}, 429),
        ({"parameters": {"timeout": 60_000_000}}, {DEADLINE: "150"}, 429),
        ({"parameters": {"timeout": 60_000_000}}, {DEADLINE: "60000"}, 200),
        ({"parameters": {"timeout": 0}}, {DEADLINE: "0"}, 200),
        ({"parameters": {"timeout": -1}}, {}, 400),
        ({"parameters": {"timeout": "soon"}}, {}, 400),
        ({}, {DEADLINE: "soon"}, 400),
    ],
)
def test_deadlines(server: RunningServer, rest: dict[str, Any], headers: dict[str, str], status: int) -> None:
    """So many rows take this model some hundred milliseconds."""
    many = np.zeros((LARGE, COLUMNS), dtype=np.float32)
    with connection(server) as client:
        answer = client.post("/v2/models/wide/infer", json=features(many, **rest), headers=headers)
    assert answer.status_code == status, answer.text
    assert ("retry-after" in answer.headers) == (status == 429)


def test_an_overloaded_model_refuses_and_the_others_answer(lab: Lab, launch: Launcher) -> None:
    publish(lab)
    server = launch.start(extra={"ARCHLAB_SERVING_MAX_QUEUE_ROWS": "4"})
    stop = threading.Event()
    counts: list[Counter[int]] = []
    retry_after: set[str | None] = set()

    def seen() -> Counter[int]:
        return sum(counts, Counter())

    def flood(client: httpx.Client) -> None:
        counts.append(own := Counter[int]())  # of this thread alone: nothing is counted twice or not at all
        while not stop.is_set():
            answer = client.post("/v2/models/wide/infer", json=features(row(0)))
            own[answer.status_code] += 1
            if answer.status_code == 429:
                retry_after.add(answer.headers.get("retry-after"))

    def calm(client: httpx.Client) -> None:
        try:
            wait_for(lambda: seen()[429] > 0, "the queue to be full")
            for number in range(30):
                cheap = client.post("/v2/models/cheap/infer", json=features(row(number)))
                words = client.post("/v2/models/words/infer", json=token(number % 10))
                assert (cheap.status_code, words.status_code) == (200, 200), cheap.text + words.text
            wait_for(lambda: seen()[200] > 0, "an answer of the flooded model")
        finally:
            stop.set()

    together(server, [calm, *[flood] * CONNECTIONS])
    assert set(seen()) == {200, 429}
    assert retry_after
    assert all(text and int(text) >= 1 for text in retry_after)
    refused = 'archlab_inference_requests_total{code="429",model="wide",team="operations",version="1"}'
    assert server.metric(refused) == seen()[429]


def test_a_full_server_says_when_to_ask_again(lab: Lab, launch: Launcher) -> None:
    publish(lab)
    server = launch.start(extra={"ARCHLAB_SERVING_MAX_CONCURRENCY": "2"})
    head = b"POST /v2/models/cheap/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"
    with contextlib.ExitStack() as open_sockets:
        for _ in range(2):
            slow = open_sockets.enter_context(socket.socket(socket.AF_UNIX))
            slow.connect(str(server.socket))
            slow.sendall(head)
        wait_for(lambda: server.metric("archlab_inference_in_flight") == 2, "both to be let in")
        answer = server.client.post("/v2/models/cheap/infer", json=features(row(0)))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
    wait_for(lambda: server.metric("archlab_inference_in_flight") == 0, "both to be gone")
    assert server.client.post("/v2/models/cheap/infer", json=features(row(0))).status_code == 200


def test_who_hangs_up_in_the_queue_is_counted_and_not_computed(server: RunningServer) -> None:
    def gone() -> float:
        return server.metric('archlab_inference_requests_total{code="499",model="wide",team="operations",version="1"}')

    before = gone()
    long = orjson.dumps(features(np.zeros((LARGE, COLUMNS), dtype=np.float32)))
    short = orjson.dumps(features(row(0)))
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
        for number, body in enumerate((long, short)):
            sockets[number].connect(str(server.socket))
            head = f"POST /v2/models/wide/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            sockets[number].sendall(head.encode() + body)
            wait_for(lambda n=number: server.metric("archlab_inference_in_flight") == n + 1, "it to be let in")  # type: ignore[misc]
        wait_for(lambda: server.metric('archlab_queue_depth{model="wide",version="1"}') == 1, "it to be queued")
        sockets[1].close()
        wait_for(lambda: gone() == before + 1, "it to be given up")


def test_the_calls_cpu_time_is_the_processs(server: RunningServer, wide: OnnxModel) -> None:
    """Shares of batches add up to what was spent: never more than the process has, and most of what it has gained."""

    def measured() -> tuple[float, float]:
        own = 'archlab_inference_cpu_seconds_total{model="wide",team="operations",version="1"}'
        return server.metric(own), server.metric("process_cpu_seconds_total")

    # a call that began earlier would be counted as a whole when it ends
    wait_for(lambda: server.metric("archlab_inference_in_flight") == 0, "earlier calls to end")
    before = measured()
    path, expected = "/v2/models/wide/infer", [wide.predict(row(n)).item() for n in range(CONNECTIONS)]
    together(server, [asking(path, n, expected[n], "1", times=10) for n in range(CONNECTIONS)])
    model_s, process_s = np.subtract(measured(), before)
    assert 0.3 * process_s < model_s <= process_s + 0.02
