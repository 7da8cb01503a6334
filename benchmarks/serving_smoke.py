"""The inference server beside a bare Starlette application that calls ONNX Runtime.

Run `python -m benchmarks.serving_smoke [--bento]`. One process each behind a unix socket, the same ONNX file, the same
uvicorn flags; a small asyncio client on the same machine keeps 1 and then 16 connections busy. Rounds alternate between
the contenders, the best round counts for each, and every round is printed, with the CPU time that the server's process
took per request: on a shared machine that is the steadier figure.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import onnxruntime
import orjson
import psutil
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tests.archlab_serving.conftest import Lab, Launcher, linear_model, wait_for

COLUMNS = 20
ROUND_S = 3.0
ROUNDS = 3


def bare() -> Starlette:
    """What a user would write in ten lines; the factory of the contender."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(Path(os.environ["BARE_MODEL"]).read_bytes(), options)

    async def infer(request: Request) -> JSONResponse:
        document = await request.json()
        tensor = document["inputs"][0]
        matrix = np.array(tensor["data"], dtype=np.float32).reshape(tensor["shape"])
        prediction = session.run(["prediction"], {"features": matrix})[0]
        output = {"name": "prediction", "datatype": "FP32", "shape": list(prediction.shape)}
        return JSONResponse({"model_name": "delay", "outputs": [{**output, "data": prediction.ravel().tolist()}]})

    async def ready(_: Request) -> JSONResponse:
        return JSONResponse({"ready": True})

    return Starlette(
        routes=[Route("/v2/models/delay/infer", infer, methods=["POST"]), Route("/v2/health/ready", ready)]
    )


@dataclass
class Caller(asyncio.Protocol):
    """One connection that sends the next request when the last is answered."""

    request: bytes
    until: float
    done: asyncio.Future[None]
    latencies_us: list[float]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        """Sends one request."""
        self.buffer = b""
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Takes an answer; a whole one makes room for the next request."""
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        now = time.perf_counter()
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.buffer.decode()))
        self.latencies_us.append((now - self.started) * 1e6)
        if now < self.until:
            self.send()
        elif not self.done.done():
            self.done.set_result(None)


async def load(socket: Path, document: dict[str, Any], connections: int, seconds: float) -> list[float]:
    """Latencies of a round, microseconds."""
    body = orjson.dumps(document)
    head = "POST /v2/models/delay/infer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(body)}"
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    callers = [
        Caller(head.encode() + b"\r\n\r\n" + body, time.perf_counter() + seconds, loop.create_future(), latencies)
        for _ in range(connections)
    ]
    for caller in callers:
        await loop.create_unix_connection(partial(_same, caller), str(socket))
    await asyncio.gather(*(caller.done for caller in callers))
    for caller in callers:
        caller.transport.close()
    return latencies


def _same(caller: Caller) -> Caller:
    return caller


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


@dataclass(frozen=True)
class Round:
    """What one round measured."""

    rate: float
    p50_us: float
    p99_us: float
    cpu_us: float

    def __str__(self) -> str:
        return f"{self.rate:7.0f}/s  p50 {self.p50_us:6.0f} µs  server CPU {self.cpu_us:4.0f} µs"


def start_bare(lab: Lab, model: bytes) -> tuple[subprocess.Popen[bytes], Path]:
    """The bare application on a unix socket."""
    path, socket = lab.root / "bare.onnx", lab.root / "bare.sock"
    path.write_bytes(model)
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.serving_smoke:bare", "--uds", str(socket)]
    environment = {**os.environ, "BARE_MODEL": str(path)}
    process = subprocess.Popen([*command, "--no-access-log", "--log-level", "warning"], env=environment)
    client = httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://bare")

    def answers() -> bool:
        try:
            return client.get("/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answers, "the bare application")
    return process, socket


def requests() -> dict[str, dict[str, Any]]:
    """The whole matrix; and half of it, the rest looked up in two views."""
    whole = {"name": "features", "datatype": "FP32", "shape": [1, COLUMNS], "data": [[0.5] * COLUMNS]}
    named = [{"name": f"c{i}", "datatype": "FP32", "shape": [1], "data": [0.5]} for i in range(COLUMNS // 2)]
    keys = [{"name": k, "datatype": "BYTES", "shape": [1], "data": ["K7"]} for k in ("origin", "carrier")]
    return {"matrix": {"inputs": [whole]}, "look-up": {"inputs": [*named, *keys]}}


def publish(lab: Lab, model: bytes) -> None:
    """Ten models, two views of 2,000 rows."""
    sources = ["request"] * 10 + ["weather"] * 5 + ["carrier"] * 5
    columns = [{"name": f"c{i}", "source": source} for i, source in enumerate(sources)]
    lab.publish(*(lab.release(model, model=name, columns=columns) for name in ("delay", *(f"m{i}" for i in range(9)))))
    rows = {f"K{i}": [0.5] * 5 for i in range(2000)}
    views = {
        "weather": {"join_keys": ["origin"], "features": [f"c{i}" for i in range(10, 15)], "rows": rows},
        "carrier": {"join_keys": ["carrier"], "features": [f"c{i}" for i in range(15, 20)], "rows": rows},
    }
    lab.snapshot(1, **views)


def main() -> None:
    """Prints a line per round and a table of the best."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bento", action="store_true", help="measure the Bento too")
    options = arguments.parse_args()
    lab = Lab(Path(tempfile.mkdtemp(prefix="srv-")))
    launcher = Launcher(lab)
    model = linear_model([0.1] * COLUMNS)
    publish(lab, model)
    bare_process, bare_socket = start_bare(lab, model)
    contenders = {"bare starlette": (bare_socket, "matrix", bare_process.pid)}
    try:
        server = launcher.start()
        assert server.socket is not None
        pid = server.process.pid
        contenders["archlab matrix"] = (server.socket, "matrix", pid)
        contenders["archlab look-up"] = (server.socket, "look-up", pid)
        if options.bento:
            from archlab_serving.bento import build

            store = lab.root / "bentos"
            started = time.perf_counter()
            tag = build(store)
            print(f"building the Bento took {time.perf_counter() - started:.1f} s")
            bento = launcher.start(
                "archlab_serving.bento:app", extra={"BENTOML_HOME": str(store), "ARCHLAB_SERVING_BENTO": tag}
            )
            assert bento.socket is not None
            contenders["bento matrix"] = (bento.socket, "matrix", bento.process.pid)
            print(f"RSS of the Bento {bento.rss_bytes() / 1e6:.0f} MB")
        print(f"RSS with ten models {server.rss_bytes() / 1e6:.0f} MB")
        measure(contenders)
    finally:
        for running in launcher.running:
            running.stop()
        bare_process.terminate()
        bare_process.wait()
        shutil.rmtree(lab.root)


def measure(contenders: dict[str, tuple[Path, str, int]]) -> None:
    """Rounds of every contender, in turns."""
    for connections in (1, 16):
        rounds: dict[str, list[Round]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, (socket, document, pid) in contenders.items():
                rounds[name].append(one_round(socket, document, pid, connections))
                print(f"{connections:2d} connections  {name:16s} {rounds[name][-1]}")
        print(f"\n| {connections} connections | requests/s | p50 µs | p99 µs | server CPU µs | requests/s of bare |")
        print("|---|---|---|---|---|---|")
        bare_rate = max(r.rate for r in rounds["bare starlette"])
        for name, those in rounds.items():
            best = max(those, key=lambda r: r.rate)
            cpu_us = min(r.cpu_us for r in those)
            ratio = best.rate / bare_rate
            print(f"| {name} | {best.rate:.0f} | {best.p50_us:.0f} | {best.p99_us:.0f} | {cpu_us:.0f} | {ratio:.2f} |")
        print()


def one_round(socket: Path, document: str, pid: int, connections: int) -> Round:
    """One round of one contender."""
    before = cpu_s(pid)
    latencies = uvloop.run(load(socket, requests()[document], connections, ROUND_S))
    percentiles = statistics.quantiles(latencies, n=100)
    cpu_us = (cpu_s(pid) - before) / len(latencies) * 1e6
    return Round(len(latencies) / ROUND_S, percentiles[49], percentiles[98], cpu_us)


if __name__ == "__main__":
    main()
