"""Ten, a hundred and a thousand models in one server: memory, cold starts, reloads, eviction.

Run `python -m benchmarks.many_models [--quick]`. Distinct small gradient-boosting ensembles are made, signed and
published in a temporary folder; one server process at a time serves them behind a unix socket. Prints Markdown tables,
and whether memory and time grow no faster than the models' own bytes. CPU times are the server process's: on a shared
machine they are steadier than the wall clock.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import uvloop

from .http_load import Caller, cpu_s, http_request

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, launcher, short_lab

from onnx_models import trees

WIDTH, TREES, DEPTH = 12, 40, 4
COLUMNS = [{"name": f"c{number}", "source": "request"} for number in range(WIDTH)]
BODY = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, WIDTH], "data": [0.5] * WIDTH}]}
CONNECTIONS = 4
RELOADS = 15
SLACK = 1.1
"""Growth up to a tenth above the bytes' own is noise."""
MIB = 1 << 20


class Taken(NamedTuple):
    """Wall-clock and server CPU time, seconds."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} ({self.cpu_s:.2f})"


@dataclass
class Walker(Caller):
    """A connection that asks one request after another until there are none."""

    requests: Iterator[bytes] = field(default_factory=lambda: iter(()))

    def send(self) -> None:
        """Sends the next request."""
        following = next(self.requests, None)
        if following is not None:
            self.request = following
            super().send()
        elif not self.done.done():
            self.done.set_result(None)


@dataclass(frozen=True)
class Served:
    """What was measured of a server that keeps all its models."""

    models: int
    model_bytes: int
    loading: str
    ready: Taken
    """The first of the process to ready."""
    rss_ready: int
    rss: int
    """With every model in memory."""
    cold_ms: tuple[float, float]
    """p50 and p99 of first requests, one at a time; zero where models are loaded at the start."""
    warm_rate: float
    reload: Taken
    """From the published feed to the new version's answer: median, and mean CPU time."""
    memory_bytes: int
    """What the server says its models take."""


@dataclass(frozen=True)
class Evicting:
    """What was measured under a limit of a quarter of the models' memory."""

    models: int
    limit_bytes: int
    hit_rate: float
    lru_hit_rate: float
    """What an LRU of a quarter of the models would have reached on the same requests."""
    rate: float
    p99_ms: float
    rss: int


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 and 100 models, fewer requests")
    quick = parser.parse_args().quick
    counts, requests = ((10, 100), 2_000) if quick else ((10, 100, 1_000), 20_000)
    served: list[Served] = []
    evicting: list[Evicting] = []
    base = measure(1, "eager", requests)
    for count in counts:
        lazy = measure(count, "lazy", requests)
        served += [measure(count, "eager", requests), lazy]
        evicting.append(measure_evicting(count, lazy.memory_bytes // 4, requests))
    report(base, served, evicting)


def measure(count: int, loading: str, requests: int) -> Served:
    """One server with so many models."""
    with short_lab() as lab, launcher(lab) as launch:
        entries = models(lab, count)
        lab.publish(*entries)
        server, ready = start(launch, {"ARCHLAB_SERVING_LOADING": loading})
        rss_ready = server.rss_bytes()
        cold = ask(server, range(count), connections=1)[0] if loading == "lazy" else [0.0, 0.0]
        rss, memory_bytes = server.rss_bytes(), memory(server)
        spread = [number % count for number in range(requests)]
        warm, seconds = ask(server, spread, connections=CONNECTIONS)
        found = Served(
            count,
            sum(entry["size_bytes"] for entry in entries),
            loading,
            ready,
            rss_ready,
            rss,
            (percentile(cold, 50), percentile(cold, 99)),
            len(warm) / seconds,
            reload(lab, server, entries),
            memory_bytes,
        )
    print(found, file=sys.stderr)
    return found


def measure_evicting(count: int, limit_bytes: int, requests: int) -> Evicting:
    """The same models under a limit, asked with Zipf's law as popularity."""
    with short_lab() as lab, launcher(lab) as launch:
        lab.publish(*models(lab, count))
        extra = {"ARCHLAB_SERVING_LOADING": "lazy", "ARCHLAB_SERVING_MEMORY_LIMIT_BYTES": str(limit_bytes)}
        server, _ = start(launch, extra)
        asked = zipf(count, requests)
        latencies, seconds = ask(server, asked, connections=CONNECTIONS)
        loads = server.metric('archlab_model_loads_total{outcome="loaded"}')
        found = Evicting(
            count,
            limit_bytes,
            1 - loads / requests,
            lru_hit_rate(asked, max(1, count // 4)),
            requests / seconds,
            percentile(latencies, 99),
            server.rss_bytes(),
        )
    print(found, file=sys.stderr)
    return found


def models(lab: Lab, count: int) -> list[dict[str, Any]]:
    """Signed releases of distinct models."""
    return [release(lab, number, seed=number) for number in range(count)]


def release(lab: Lab, number: int, *, seed: int, version: int = 1) -> dict[str, Any]:
    """One of them."""
    data = trees(TREES, DEPTH, seed, WIDTH)
    return lab.release(data, model=f"m{number}", version=str(version), columns=COLUMNS, keys=[])


def start(launch: Launcher, extra: dict[str, str]) -> tuple[RunningServer, Taken]:
    """A server that is ready."""
    started = time.perf_counter()
    server = launch.start(extra=extra)
    return server, Taken(time.perf_counter() - started, cpu_s(server.process.pid))


def ask(server: RunningServer, numbers: Sequence[int], *, connections: int) -> tuple[list[float], float]:
    """Asks the models in this order; latencies in milliseconds, and the seconds that it took."""
    assert server.socket is not None
    requests = (http_request(f"/v2/models/m{number}/infer", BODY) for number in numbers)
    started = time.perf_counter()
    latencies_us = uvloop.run(_ask(server.socket, requests, connections))
    return [latency / 1000 for latency in latencies_us], time.perf_counter() - started


async def _ask(socket: Path, requests: Iterator[bytes], connections: int) -> list[float]:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    walkers = [
        Walker(b"", float("inf"), loop.create_future(), latencies, requests=requests) for _ in range(connections)
    ]
    remaining = iter(walkers)
    for _ in walkers:
        await loop.create_unix_connection(lambda: next(remaining), str(socket))
    try:
        await asyncio.gather(*(walker.done for walker in walkers))
    finally:
        for walker in walkers:
            walker.transport.close()
    return latencies


def reload(lab: Lab, server: RunningServer, entries: Sequence[dict[str, Any]]) -> Taken:
    """A new version of one model, several times over."""
    taken = []
    for version in range(2, 2 + RELOADS):
        number = version % len(entries)
        new = release(lab, number, seed=len(entries) * version + number, version=version)
        sequence = lab.publish(*(new if entry["model"] == new["model"] else entry for entry in entries))
        started, before = time.perf_counter(), cpu_s(server.process.pid)
        headers = {"x-archlab-min-feed": str(sequence)}
        reply = server.client.post(f"/v2/models/{new['model']}/infer", json=BODY, headers=headers)
        taken.append(Taken(time.perf_counter() - started, cpu_s(server.process.pid) - before))
        if reply.status_code != 200 or reply.json()["model_version"] != str(version):
            raise RuntimeError(f"version {version} was not served: {reply.text}")
    walls, cpus = zip(*taken, strict=True)
    return Taken(statistics.median(walls), statistics.mean(cpus))  # the CPU's clock ticks every 10 ms


def memory(server: RunningServer) -> int:
    """The models' memory by the server's own metrics."""
    lines = server.client.get("/metrics").text.splitlines()
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("archlab_model_memory_bytes{")))


def zipf(count: int, requests: int) -> list[int]:
    """Model numbers with probabilities 1, 1/2, 1/3 …, in shuffled order of rank."""
    rng = np.random.default_rng(count)
    weights = 1 / np.arange(1, count + 1)
    return [int(number) for number in rng.choice(rng.permutation(count), requests, p=weights / weights.sum())]


def lru_hit_rate(asked: Sequence[int], capacity: int) -> float:
    """Share of requests that find their model among the `capacity` last asked."""
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for number in asked:
        hits += number in kept
        kept[number] = None
        kept.move_to_end(number)
        if len(kept) > capacity:
            kept.popitem(last=False)
    return hits / len(asked)


def percentile(values: Sequence[float], percent: float) -> float:
    """Linear between ranks."""
    return float(np.percentile(values, percent))


def report(base: Served, served: Sequence[Served], evicting: Sequence[Evicting]) -> None:
    """The tables, then the verdicts."""
    print(f"\nOne model: ready after {base.ready} s, {base.rss / MIB:.0f} MiB. In brackets the server's CPU seconds.\n")
    titles = ("models", "bytes MiB", "loading", "ready s", "RSS at ready MiB", "RSS with all MiB", "RSS per model KiB")
    table((*titles, "cold p50 / p99 ms", "warm requests/s", "new version s"), [_served_row(base, it) for it in served])
    print("\nUnder a limit of a quarter of the models' memory, popularity by Zipf's law:\n")
    titles = ("models", "limit MiB", "hit rate", "LRU's own", "requests/s", "p99 ms", "RSS MiB")
    table(titles, [_evicting_row(it) for it in evicting])
    print()
    for line in verdicts(base, served):
        print(line)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """In Markdown."""
    for row in (titles, ["---"] * len(titles), *rows):
        print(f"| {' | '.join(row)} |")


def verdicts(base: Served, served: Sequence[Served]) -> list[str]:
    """Whether what grew with the number of models grew no faster than their bytes, beyond what one model takes."""
    lines = []
    for loading in ("eager", "lazy"):
        for less, more in itertools.pairwise(it for it in served if it.loading == loading):
            factor = more.model_bytes / less.model_bytes
            growths = {
                "memory": _growth(less.rss, more.rss, base.rss, noise=0.02),
                "start, CPU": _growth(less.ready.cpu_s, more.ready.cpu_s, base.ready.cpu_s, noise=0.2),
                "new version, CPU": more.reload.cpu_s / less.reload.cpu_s,
            }
            what = f"{loading}, {less.models} to {more.models} models"
            lines += [_verdict(f"{what}: {name}", growth, factor) for name, growth in growths.items()]
    return lines


def _growth(less: float, more: float, base: float, *, noise: float) -> float | None:
    """Of what is above the base; None where starts of one server differ by more than that."""
    if more - base < noise * base:
        return 0.0
    return (more - base) / (less - base) if less - base > noise * base else None


def _verdict(what: str, growth: float | None, factor: float) -> str:
    if growth is None:
        return f"- not told: {what} is within a server's own noise with the fewer models"
    verdict = "reached" if growth <= SLACK * factor else "MISSED"
    return f"- {verdict}: {what} x{growth:.1f}, bytes x{factor:.1f}"


def _served_row(base: Served, it: Served) -> list[str]:
    cold = f"{it.cold_ms[0]:.1f} / {it.cold_ms[1]:.1f}" if it.loading == "lazy" else "-"
    memory = (f"{it.rss_ready / MIB:.0f}", f"{it.rss / MIB:.0f}", f"{(it.rss - base.rss) / (it.models - 1) / 1024:.0f}")
    shown = (str(it.models), f"{it.model_bytes / MIB:.1f}", it.loading, str(it.ready))
    return [*shown, *memory, cold, f"{it.warm_rate:.0f}", f"{it.reload.wall_s:.3f} ({it.reload.cpu_s:.3f})"]


def _evicting_row(it: Evicting) -> list[str]:
    rates = (f"{it.hit_rate:.3f}", f"{it.lru_hit_rate:.3f}", f"{it.rate:.0f}")
    return [str(it.models), f"{it.limit_bytes / MIB:.1f}", *rates, f"{it.p99_ms:.1f}", f"{it.rss / MIB:.0f}"]


if __name__ == "__main__":
    main()
