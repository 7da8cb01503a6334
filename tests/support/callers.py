"""Threads that keep asking a model through a lab's gateway, and count what comes back."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from archlab.lab import Lab
from archlab.lab.asking import example

PACE_S = 0.004
"""Between a thread's answers: together they stay below what the gateway lets a team ask for."""


@contextmanager
def callers(lab: Lab, model: str, threads: int = 4) -> Iterator[Counter[object]]:
    """Keep asking a model over connections that stay open; counts answers by HTTP status."""
    body = json.dumps(example(lab, model, [])).encode()
    headers = {"Authorization": f"Bearer {lab.token()}", "Content-Type": "application/json"}
    host = urlsplit(lab.endpoints.gateway).netloc
    seen: Counter[object] = Counter()
    stop = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection(host, timeout=60)
        while not stop.wait(PACE_S):
            try:
                connection.request("POST", f"/v2/models/{model}/infer", body, headers)
                answer = connection.getresponse()
                answer.read()
                seen[answer.status] += 1
            except (OSError, http.client.HTTPException) as error:
                seen[repr(error)] += 1
                connection.close()
        connection.close()

    workers = [threading.Thread(target=ask) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield seen
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def enough(seen: Counter[object], more: int) -> None:
    """Wait until so many further answers came."""
    wanted = seen.total() + more
    gate = threading.Event()
    while seen.total() < wanted:
        gate.wait(0.01)
