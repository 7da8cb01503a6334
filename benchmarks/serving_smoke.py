"""The inference server beside two bare applications that call ONNX Runtime: on Starlette, and on ASGI alone.

Run `python -m benchmarks.serving_smoke [--bento] [--rounds N] [--seconds S]`. One process each behind a unix socket,
one ONNX file, the same uvicorn flags; a small asyncio client on the same machine keeps 1, 16 and 64 connections busy.
Rounds alternate between the contenders; ratios are taken within a round, and their median and range are printed, with
the CPU time that the server's process took per request: on a shared machine that is the steadier figure.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, linear_model, wait_for

from .http_load import Round, Target, http_request, one_round, spread

COLUMNS = 20
CONNECTIONS = (1, 16, 64)
PATH = "/v2/models/delay/infer"
YARDSTICKS = ("bare starlette", "bare asgi")


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


@contextlib.contextmanager
def bare(lab: Lab, factory: str, model: bytes) -> Iterator[tuple[Path, int]]:
    """A bare application on a unix socket: the socket and the process's id."""
    path, socket = lab.root / f"{factory}.onnx", lab.root / f"{factory}.sock"
    path.write_bytes(model)
    command = [sys.executable, "-m", "uvicorn", "--factory", f"benchmarks.bare:{factory}", "--uds", str(socket)]
    environment = {**os.environ, "BARE_MODEL": str(path)}
    process = subprocess.Popen([*command, "--no-access-log", "--log-level", "warning"], env=environment)
    client = httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://bare")

    def answers() -> bool:
        try:
            return client.get("/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_for(answers, "the bare application")
        yield socket, process.pid
    finally:
        client.close()
        process.terminate()
        process.wait()


def bento(lab: Lab, launcher: Launcher) -> RunningServer:
    """The same server as a Bento."""
    from archlab_serving.bento import build

    store = lab.root / "bentos"
    started = time.perf_counter()
    tag = build(store)
    print(f"building the Bento took {time.perf_counter() - started:.1f} s")
    server = launcher.start(
        "archlab_serving.bento:app", extra={"BENTOML_HOME": str(store), "ARCHLAB_SERVING_BENTO": tag}
    )
    print(f"RSS of the Bento {server.rss_bytes() / 1e6:.0f} MB")
    return server


def main() -> None:
    """Prints a line per round and a table per number of connections."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bento", action="store_true", help="measure the Bento too")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=2.0)
    options = arguments.parse_args()
    lab = Lab(Path(tempfile.mkdtemp(prefix="srv-")))
    launcher = Launcher(lab)
    model = linear_model([0.1] * COLUMNS)
    publish(lab, model)
    asked = {name: http_request(PATH, document) for name, document in requests().items()}
    contenders: dict[str, Target] = {}
    try:
        with bare(lab, "starlette_app", model) as starlette, bare(lab, "raw_app", model) as raw:
            contenders["bare starlette"] = Target(*starlette, asked["matrix"])
            contenders["bare asgi"] = Target(*raw, asked["matrix"])
            servers = {"archlab": launcher.start()}
            print(f"RSS with ten models {servers['archlab'].rss_bytes() / 1e6:.0f} MB")
            if options.bento:
                servers["bento"] = bento(lab, launcher)
            for name, server in servers.items():
                assert server.socket is not None
                for kind, request in asked.items():
                    contenders[f"{name} {kind}"] = Target(server.socket, server.process.pid, request)
            for connections in CONNECTIONS:
                measure(contenders, connections, options.rounds, options.seconds)
    finally:
        for running in launcher.running:
            running.stop()
        shutil.rmtree(lab.root)


def measure(contenders: dict[str, Target], connections: int, rounds: int, seconds: float) -> None:
    """Rounds of every contender, in turns."""
    for target in contenders.values():
        one_round(target, connections, 0.3)
    measured: dict[str, list[Round]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, target in contenders.items():
            measured[name].append(one_round(target, connections, seconds))
            print(f"{connections:2d} connections  {name:16s} {measured[name][-1]}", file=sys.stderr)
    versus = " | ".join(f"of {name}" for name in YARDSTICKS)
    print(f"\n| {connections} connections | requests/s | p50 µs | p99 µs | server CPU µs | {versus} |")
    print("|---|---|---|---|---|---|---|")
    for name, those in measured.items():
        ratios = [
            spread([own.rate / bare.rate for own, bare in zip(those, measured[yardstick], strict=True)])
            for yardstick in YARDSTICKS
        ]
        shown = [
            statistics.median(values) for values in zip(*((r.rate, r.p50_us, r.p99_us) for r in those), strict=True)
        ]
        cells = [f"{value:.0f}" for value in shown] + [spread([r.cpu_us for r in those], 0), *ratios]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
