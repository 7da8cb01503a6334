"""HTTP servers under one trivial application: `python -m benchmarks.http_servers [--quick] [--json FILE]`.

A JSON tensor in, JSON out, one worker each, no access log, in an environment of their own (`.cache/peers/http`);
client, rounds and tables are those of `benchmarks.serving`. ADR 6 rests on it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
from benchmarks.serving import machine
from benchmarks.serving.contenders import PEER_CODE, Contender, Site
from benchmarks.serving.environments import NotBuiltError, ensure
from benchmarks.serving.models import BenchmarkModel
from benchmarks.serving.processes import Command
from benchmarks.serving.report import Process, Report
from benchmarks.serving.rounds import Cell, Schedule, idle_share, run
from benchmarks.serving.running import start, verify
from benchmarks.serving.wire import DECIMALS, Matrix

ENVIRONMENT = "http"
BASE = "uvicorn, httptools, uvloop"


class Sums(BenchmarkModel):
    """What the application computes instead of a model."""

    def predict(self, matrix: Matrix) -> Matrix:
        """The sum of each row `[N, 1]`."""
        exact = np.round(matrix.astype(np.float64), DECIMALS)
        sums: Matrix = exact.sum(axis=1, keepdims=True).astype(np.float32)
        return sums


def contenders() -> list[Contender]:
    """uvicorn's parsers and loops, granian's interfaces and runtime modes, hypercorn."""
    granian = [
        _granian(interface, mode, threads)
        for interface in ("asgi", "rsgi")
        for mode, threads in (("st", 1), ("mt", 1), ("mt", 2))
    ]
    return [
        _uvicorn("httptools", "uvloop"),
        _uvicorn("httptools", "asyncio"),
        _uvicorn("h11", "asyncio"),
        *granian,
        _contender("hypercorn, uvloop", _hypercorn),
    ]


def _uvicorn(parser: str, loop: str) -> Contender:
    options = ("--http", parser, "--loop", loop, "--no-access-log", "--log-level", "warning")

    def launch(site: Site) -> Command:
        return _program(site, "uvicorn", "sums:asgi", "--host", "127.0.0.1", "--port", str(site.port), *options)

    return _contender(f"uvicorn, {parser}, {loop}", launch)


def _granian(interface: str, mode: str, threads: int) -> Contender:
    runtime = ("--loop", "uvloop", "--runtime-mode", mode, "--runtime-threads", str(threads), "--no-access-log")

    def launch(site: Site) -> Command:
        listen = ("--host", "127.0.0.1", "--port", str(site.port), "--workers", "1", "--log-level", "warning")
        return _program(site, "granian", "--interface", interface, *listen, *runtime, f"sums:{interface}")

    return _contender(f"granian {interface.upper()}, {mode}, {threads} runtime thread{'s' * (threads > 1)}", launch)


def _hypercorn(site: Site) -> Command:
    # Its default ends a connection after 1,000 requests, for which there is no option on the command line.
    config = site.folder / "hypercorn.toml"
    config.write_text("keep_alive_max_requests = 1000000000\n")
    listen = ("--bind", f"127.0.0.1:{site.port}", "--workers", "1", "--log-level", "warning")
    return _program(site, "hypercorn", "--config", str(config), "--worker-class", "uvloop", *listen, "sums:asgi")


def _program(site: Site, name: str, *arguments: str) -> Command:
    return site.command(site.environment.program(name), *arguments, environment={"PYTHONPATH": str(PEER_CODE)})


def _contender(name: str, launch: Callable[[Site], Command]) -> Contender:
    return Contender(name, "1 worker", launch, environment=ENVIRONMENT)


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds, measures, prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http_servers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there")
    options = parser.parse_args(arguments)
    try:
        environment = ensure(ENVIRONMENT, _say)
    except NotBuiltError as error:
        raise SystemExit(str(error)) from error
    report = Report(
        machine=machine.look(),
        cores=machine.split(),
        schedule=Schedule(0.3, 2) if options.quick else Schedule(1.0, 5),
        base=BASE,
        title="HTTP servers under one application",
        models={"sums": "no model: the sum of each row"},
        configurations={},
        versions={ENVIRONMENT: environment.versions()},
    )
    cells = [Cell("sums", "json", 1, connections) for connections in (1, 16, 64)]
    model = Sums("sums", "", Path())
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        start(contenders(), model, Path(folder), report.cores, 1, _say) as running,
        machine.on(report.cores.client),
    ):
        verify(running, (1, 128), ("json",), _say)
        idle = {runner.contender.name: runner.server.memory() for runner in running.runners}
        resting = idle_share(running)
        report.results = run(running, cells, report.schedule, _say)
        for runner in running.runners:
            name = runner.contender.name
            report.processes[name] = Process(runner.start_s, idle[name], runner.server.memory(), resting[name])
            report.problems += [f"{name}: {why}" for why in runner.problems.values()]
        report.absent = running.absent
    report.load_after = psutil.getloadavg()[0]
    print(report.markdown(), end="")
    if options.json:
        options.json.write_text(json.dumps(report.document(), indent=1) + "\n")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
