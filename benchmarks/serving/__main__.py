"""`python -m benchmarks.serving`: the inference server beside MLServer, MLflow, BentoML, KServe and bare ASGI apps.

Every peer is built once in an environment of its own under `.cache/peers/`. A full run takes some ten minutes,
`--quick` less than three; both print Markdown, and `--json FILE` takes every round.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from . import machine
from .contenders import ARCHLAB, RAW, STARLETTE, Contender, all_contenders
from .environments import NotBuiltError, ensure, own
from .goals import compare
from .models import BenchmarkModel, train
from .pins import NOT_PACKAGED
from .report import Process, Report
from .rounds import Cell, Schedule, idle_share, run
from .running import GRPC, Field, start, verify

CONNECTIONS = (1, 16, 64)
BATCH = 128
MAIN_MODEL, SECOND_MODEL = "trees", "network"


def cells(model: str, *, quick: bool) -> list[Cell]:
    """What is asked of one model: everything of the main one, one number of connections of the second."""
    if model != MAIN_MODEL:
        return [Cell(model, "json", rows, 16) for rows in (1, BATCH)]
    batches = (16,) if quick else CONNECTIONS
    asked = [Cell(model, "json", 1, connections) for connections in CONNECTIONS]
    asked += [Cell(model, "json", BATCH, connections) for connections in batches]
    for transport in ("binary", GRPC):
        asked += [Cell(model, transport, rows, connections) for rows in (1, BATCH) for connections in batches]
    return asked


def take(
    report: Report, contenders: Sequence[Contender], model: BenchmarkModel, asked: Sequence[Cell], starts: int
) -> None:
    """Measures one model with everybody, into the report."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        start(contenders, model, Path(folder), report.cores, starts, say) as running,
        machine.on(report.cores.client),
    ):
        report.absent |= running.absent
        transports = list(dict.fromkeys(cell.transport for cell in asked))
        verify(running, (1, BATCH), transports, say)
        idle = {runner.contender.name: runner.server.memory() for runner in running.runners}
        resting = idle_share(running)
        report.results |= run(running, asked, report.schedule, say)
        if model.name == MAIN_MODEL:
            for runner in running.runners:
                name = runner.contender.name
                worked = runner.server.memory()
                report.processes[name] = Process(runner.start_s, idle[name], worked, resting[name])
        report.problems += _problems(running)


def _problems(running: Field) -> list[str]:
    return [f"{runner.contender.name}: {why}" for runner in running.runners for why in runner.problems.values()]


def versions(contenders: Iterable[Contender]) -> dict[str, dict[str, str]]:
    """What each environment holds, as far as it can be built."""
    found = {"archlab and bare": own().versions()}
    for name in dict.fromkeys(contender.environment for contender in contenders if contender.environment):
        try:
            found[name] = ensure(name, say).versions()
        except NotBuiltError:
            continue
    return found


def say(line: str) -> None:
    """Progress, beside the report."""
    print(line, file=sys.stderr, flush=True)


def chosen(names: Sequence[str]) -> list[Contender]:
    """Contenders whose name contains one of `names`, in any case; all without names."""
    everybody = all_contenders()
    if not names:
        return everybody
    wanted = [name.casefold() for name in names]
    return [c for c in everybody if any(name in c.name.casefold() for name in wanted)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Builds, measures, prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: to see that everything runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="contenders whose name contains NAME")
    parser.add_argument("--build", action="store_true", help="build the environments and stop")
    parser.add_argument("--no-pin", action="store_true", help="leave client and servers on all cores")
    parser.add_argument("--rounds", type=int, help="alternating rounds per cell")
    parser.add_argument("--seconds", type=float, help="length of a round")
    options = parser.parse_args(arguments)
    here = machine.look()
    contenders = chosen(options.only)
    if not contenders:
        parser.error(
            f"no contender is called {' or '.join(options.only)}; there are "
            f"{', '.join(c.name for c in all_contenders())}"
        )
    found = versions(contenders)
    if options.build:
        return
    usual = Schedule(0.4, 2) if options.quick else Schedule(1.0, 5)
    schedule = Schedule(options.seconds or usual.seconds, options.rounds or usual.rounds)
    with tempfile.TemporaryDirectory(prefix="bench-models-") as folder:
        models = train(Path(folder), (MAIN_MODEL,) if options.quick else (MAIN_MODEL, SECOND_MODEL))
        report = Report(
            machine=here,
            cores=machine.split(pin=not options.no_pin),
            schedule=schedule,
            base=ARCHLAB,
            title="Serving, side by side",
            models={model.name: model.title for model in models},
            configurations={contender.name: contender.configuration for contender in contenders},
            versions=found,
        )
        for model in models:
            starts = 3 if model.name == MAIN_MODEL and not options.quick else 1
            take(report, contenders, model, cells(model.name, quick=options.quick), starts)
    report.absent |= {} if options.only else NOT_PACKAGED
    peers = [contender.name for contender in contenders if contender.peer]
    report.comparisons = compare(report.results, MAIN_MODEL, ARCHLAB, (RAW, STARLETTE), peers)
    report.load_after = psutil.getloadavg()[0]
    print(report.markdown(), end="")
    if options.json:
        options.json.write_text(json.dumps(report.document(), indent=1) + "\n")


if __name__ == "__main__":
    main()
